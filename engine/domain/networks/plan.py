"""Which endpoints a container gets, in which order, and what its interfaces are to be.

Pure but for the addresses that it takes.
"""

import ipaddress
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from engine.core import ids
from engine.core.model.network import EndpointSettings, Network
from engine.domain.networks import endpoint_options, options
from engine.domain.networks.addresses import Address, AddressBook
from engine.domain.networks.driver import DriverSet, NetworkDriver
from engine.domain.networks.endpoints import Endpoint, host_link
from engine.domain.networks.failures import InterfaceRefused, NoCustomMac, NoEndpointsHere
from engine.domain.networks.ipam import mac_of
from engine.domain.networks.sandbox import SandboxRequest
from engine.drivers.netlink.interfaces import Interface

_LINK_LOCAL_PREFIX = {4: 16, 6: 64}


@dataclass(frozen=True, slots=True)
class Planned:
    """An endpoint and the interface that makes it real; None on networks without one (`none`, `host`)."""

    endpoint: Endpoint
    network: Network
    interface: Interface | None = None


def in_order(wanted: Sequence[tuple[Network, EndpointSettings]]) -> list[tuple[Network, EndpointSettings]]:
    """Return the networks in dockerd's order of preference, in which a container's interfaces are numbered, too."""
    return sorted(wanted, key=lambda w: (w[0].internal, -w[1].gw_priority, w[0].name))


def named_first(wanted: Sequence[tuple[Network, EndpointSettings]]) -> list[tuple[Network, EndpointSettings]]:
    """Return the networks in the order of making: an interface that is to have a certain name gets it."""
    return sorted(in_order(wanted), key=lambda w: not endpoint_options.interface_name(w[1]))


class Planner:
    """Takes addresses and draws up endpoints."""

    def __init__(self, drivers: DriverSet, book: AddressBook, tag: str) -> None:
        self._drivers = drivers
        self._book = book
        self._tag = tag

    def plan(
        self, request: SandboxRequest, network: Network, wanted: EndpointSettings, taken: Collection[str]
    ) -> Planned:
        """Draw up the endpoint on one network; `taken` are the names of the container's other interfaces.

        Raises NoAddressLeft, AddressInUse, AddressOutsidePool, InterfaceRefused, NoCustomMac, NoEndpointsHere.
        """
        if network.config_only:
            raise NoEndpointsHere
        endpoint_id, driver = ids.new_id(), self._drivers.find(network.driver)
        if driver is None:
            settings = msgspec.structs.replace(wanted, network_id=network.id, endpoint_id=endpoint_id)
            return Planned(_endpoint(request, network, settings), network)
        if network.driver == "ipvlan" and wanted.requested_mac:
            raise NoCustomMac(network.driver)
        link = host_link(self._tag, endpoint_id)
        name = _interface_name(network, wanted, link, taken)
        addresses = self._book.get(network.id).take(wanted)
        settings = _settings(request, network, wanted, endpoint_id, addresses)
        settings = msgspec.structs.replace(settings, interface=name)
        interface = _interface(driver, network, settings, link)
        return Planned(_endpoint(request, network, settings, interface.host_name), network, interface)

    def give_back(self, endpoint: Endpoint) -> None:
        """Give the addresses of an endpoint back. Idempotent."""
        if self._book.is_open(endpoint.network_id):
            settings = endpoint.settings
            self._book.get(endpoint.network_id).release([settings.ip_address, settings.global_ipv6_address])


def _interface_name(network: Network, wanted: EndpointSettings, link: str, taken: Collection[str]) -> str:
    name = endpoint_options.interface_name(wanted)
    if not name:
        prefix = options.interface_prefix(network)
        return next(n for i in range(len(taken) + 1) if (n := f"{prefix}{i}") not in taken)
    if problem := endpoint_options.name_problem(name, taken):
        raise InterfaceRefused(link, f'error renaming interface "{link}" to "{name}": {problem}')
    return name


def _endpoint(request: SandboxRequest, network: Network, settings: EndpointSettings, link: str = "") -> Endpoint:
    return Endpoint(
        id=settings.endpoint_id,
        network_id=network.id,
        network=network.name,
        container_id=request.container_id,
        container=request.name,
        settings=settings,
        host_link=link,
    )


def _settings(
    request: SandboxRequest,
    network: Network,
    wanted: EndpointSettings,
    endpoint_id: str,
    addresses: tuple[Address, Address],
) -> EndpointSettings:
    ipv4, ipv6 = addresses
    return msgspec.structs.replace(
        wanted,
        network_id=network.id,
        endpoint_id=endpoint_id,
        gateway="" if network.internal else ipv4.gateway,
        ip_address=ipv4.address,
        ip_prefix_len=ipv4.prefix_length,
        ipv6_gateway="" if network.internal else ipv6.gateway,
        global_ipv6_address=ipv6.address,
        global_ipv6_prefix_len=ipv6.prefix_length,
        mac_address=wanted.requested_mac or _mac(network, ipv4.address),
        dns_names=dns_names(request, network, wanted.aliases),
    )


def _mac(network: Network, ipv4: str) -> str:
    """Return an endpoint's MAC address.

    On a bridge it follows from the address, on a wire that others share it is random, and ipvlan has its parent's.
    """
    if network.driver == "ipvlan":
        return ""
    return mac_of(ipv4) if ipv4 and network.driver == "bridge" else random_mac()


def dns_names(request: SandboxRequest, network: Network, aliases: Sequence[str] | None) -> list[str] | None:
    """Return the names by which others on a user-defined network find the container; None on `bridge`."""
    if network.name == "bridge":
        return None
    names = [request.name, *(aliases or ()), ids.short(request.container_id), request.hostname]
    return list(dict.fromkeys(n for n in names if n))


def _interface(driver: NetworkDriver, network: Network, settings: EndpointSettings, link: str) -> Interface:
    sysctls = endpoint_options.sysctls(settings, settings.interface)
    return replace(driver.interface(network, settings, link), addresses=tuple(_addresses(settings)), sysctls=sysctls)


def _addresses(settings: EndpointSettings) -> list[str]:
    link_local = (settings.ipam_config.link_local_ips if settings.ipam_config else None) or ()
    found = [
        (settings.ip_address, settings.ip_prefix_len),
        (settings.global_ipv6_address, settings.global_ipv6_prefix_len),
        *((text, _LINK_LOCAL_PREFIX[ipaddress.ip_address(text).version]) for text in link_local),
    ]
    return [f"{address}/{length}" for address, length in found if address]


def random_mac() -> str:
    """Return a MAC address of the locally administered kind."""
    octets = bytearray(secrets.token_bytes(6))
    octets[0] = (octets[0] | 0x02) & 0xFE
    return ":".join(f"{o:02x}" for o in octets)


def by_name(endpoints: Sequence[Endpoint]) -> Mapping[str, EndpointSettings]:
    """Return endpoints as a container's record has them."""
    return {e.network: e.settings for e in endpoints}
