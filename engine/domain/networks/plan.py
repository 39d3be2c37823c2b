"""Which endpoints a container gets, in which order, and what its interfaces are to be.

Pure but for the addresses that it takes.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from engine.core import ids
from engine.core.model.network import EndpointSettings, Network
from engine.domain.networks import options
from engine.domain.networks.addresses import Address
from engine.domain.networks.bridges import BridgeNetworks
from engine.domain.networks.endpoints import Endpoint, host_link
from engine.domain.networks.ipam import mac_of
from engine.domain.networks.sandbox import SandboxRequest
from engine.drivers.netlink.messages import Interface


@dataclass(frozen=True, slots=True)
class Planned:
    """An endpoint and the interface that makes it real; None on networks without one (`none`, `host`)."""

    endpoint: Endpoint
    network: Network
    interface: Interface | None = None


def in_order(wanted: Sequence[tuple[Network, EndpointSettings]]) -> list[tuple[Network, EndpointSettings]]:
    """Return the networks with the one first that is to give the default route, as dockerd chooses it."""
    return sorted(wanted, key=lambda w: (w[0].internal, -w[1].gw_priority, w[0].name))


class Planner:
    """Takes addresses and draws up endpoints."""

    def __init__(self, bridges: BridgeNetworks, tag: str) -> None:
        self._bridges = bridges
        self._tag = tag

    def plan(
        self, request: SandboxRequest, network: Network, wanted: EndpointSettings, number: int, *, default_route: bool
    ) -> Planned:
        """Draw up the endpoint on one network; its interface is the container's `number`th.

        Raises NoAddressLeft, AddressInUse, AddressOutsidePool.
        """
        endpoint_id = ids.new_id()
        if network.driver != "bridge":
            settings = msgspec.structs.replace(wanted, network_id=network.id, endpoint_id=endpoint_id)
            return Planned(_endpoint(request, network, settings), network)
        ipv4, ipv6 = self._bridges.addresses(network.id).take(wanted)
        name = f"{options.interface_prefix(network)}{number}"
        settings = _settings(request, network, wanted, endpoint_id, (ipv4, ipv6))
        settings = msgspec.structs.replace(settings, interface=name)
        link = host_link(self._tag, endpoint_id)
        interface = _interface(network, settings, link, default_route=default_route)
        return Planned(_endpoint(request, network, settings, link), network, interface)

    def give_back(self, endpoint: Endpoint) -> None:
        """Give the addresses of an endpoint back. Idempotent."""
        if self._bridges.is_up(endpoint.network_id):
            settings = endpoint.settings
            self._bridges.addresses(endpoint.network_id).release([settings.ip_address, settings.global_ipv6_address])


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
    mac = wanted.requested_mac or (mac_of(ipv4.address) if ipv4.address else _random_mac())
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
        mac_address=mac,
        dns_names=dns_names(request, network, wanted.aliases),
    )


def dns_names(request: SandboxRequest, network: Network, aliases: Sequence[str] | None) -> list[str] | None:
    """Return the names by which others on a user-defined network find the container; None on `bridge`."""
    if network.name == "bridge":
        return None
    names = [request.name, *(aliases or ()), ids.short(request.container_id), request.hostname]
    return list(dict.fromkeys(n for n in names if n))


def _interface(network: Network, settings: EndpointSettings, link: str, *, default_route: bool) -> Interface:
    addresses = [
        f"{address}/{length}"
        for address, length in (
            (settings.ip_address, settings.ip_prefix_len),
            (settings.global_ipv6_address, settings.global_ipv6_prefix_len),
        )
        if address
    ]
    gateways = [g for g in (settings.gateway, settings.ipv6_gateway) if g] if default_route else []
    return Interface(
        host_name=link,
        bridge=options.bridge_name(network),
        name=settings.interface,
        mac_address=settings.mac_address,
        mtu=options.mtu(network),
        addresses=tuple(addresses),
        gateways=tuple(gateways),
        isolated=not options.icc(network),
        ipv6=network.enable_ipv6,
    )


def _random_mac() -> str:
    octets = bytearray(secrets.token_bytes(6))
    octets[0] = (octets[0] | 0x02) & 0xFE
    return ":".join(f"{o:02x}" for o in octets)


def by_name(endpoints: Sequence[Endpoint]) -> Mapping[str, EndpointSettings]:
    """Return endpoints as a container's record has them."""
    return {e.network: e.settings for e in endpoints}
