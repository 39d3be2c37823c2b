"""Networks of drivers that are plugins: the plugin makes the links, addresses are given here.

Source: libnetwork's remote driver protocol. What a plugin is asked and told is as with dockerd 28.5.
"""

import ipaddress
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Protocol

import msgspec

from engine.core.errors import WharfError
from engine.core.model.network import EndpointSettings, IPAMPool, Network
from engine.domain.networks import endpoint_options
from engine.domain.networks.addresses import AddressBook
from engine.domain.networks.driver import DriverSet, NetworkDriver
from engine.domain.networks.endpoints import Endpoint
from engine.domain.networks.failures import EndpointRefused, PluginNotFound, RemoteRefused
from engine.domain.networks.plan import Planned
from engine.domain.networks.sandbox import SandboxRequest
from engine.domain.networks.table import NetworkTable
from engine.drivers.netlink.interfaces import GivenLink, Interface

log = logging.getLogger(__name__)
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_GENERIC, _IPV4, _IPV6 = (f"com.docker.network.{name}" for name in ("generic", "enable_ipv4", "enable_ipv6"))
_INTERNAL = "com.docker.network.internal"
_EXPOSED, _PORTMAP = "com.docker.network.endpoint.exposedports", "com.docker.network.portmap"


class NetworkPlugins(Protocol):
    """The plugins that are network drivers."""

    async def require(self, name: str) -> None:
        """Raise WharfError where there is no such driver, or none that can be used."""

    async def call(self, name: str, method: str, arguments: Mapping[str, Any], *, patient: bool) -> dict[str, Any]:
        """Return a driver's answer. Raises WharfError; a patient caller waits for a driver that starts."""


class NoNetworkPlugins:
    """No drivers but our own."""

    async def require(self, name: str) -> None:
        """Raise PluginNotFound."""
        raise PluginNotFound(name)

    async def call(self, name: str, method: str, arguments: Mapping[str, Any], *, patient: bool) -> dict[str, Any]:
        """Raise PluginNotFound."""
        del method, arguments, patient
        raise PluginNotFound(name)


class RemoteDriver:
    """One plugin's networks."""

    hosts_ports = False

    def __init__(self, name: str, plugins: NetworkPlugins, book: AddressBook) -> None:
        self._name = name
        self._plugins = plugins
        self._book = book

    async def call(self, method: str, arguments: Mapping[str, Any], *, patient: bool = True) -> dict[str, Any]:
        """Return the plugin's answer. Raises RemoteRefused, and what keeps it from answering."""
        answer = await self._plugins.call(self._name, method, arguments, patient=patient)
        reason = answer.get("Err")
        if isinstance(reason, str) and reason:
            raise RemoteRefused(reason)
        return answer

    def require_valid(self, network: Network) -> None:
        """The plugin judges."""

    def has_gateway(self, network: Network, version: int) -> bool:
        """Every subnet has one."""
        del network, version
        return True

    def require_pools(self, network: Network) -> None:
        """The plugin judges."""

    async def prepared(self, network: Network) -> Network:
        """Raise PluginNotFound where there is no such plugin."""
        await self._plugins.require(self._name)
        return network

    async def bring_up(self, network: Network, *, making: bool) -> None:
        """Tell the plugin of the network; at the daemon's start again, as it may have been restarted, too."""
        self._book.open(network)
        try:
            await self.call("CreateNetwork", _network(network), patient=making)
        except WharfError:
            if making:
                self._book.close(network.id)
            raise

    async def open(self, network: Network) -> None:
        """Packets are the plugin's."""

    async def bring_down(self, network: Network) -> None:
        """Tell the plugin. What it says against it does not keep the network."""
        try:
            await self.call("DeleteNetwork", {"NetworkID": network.id})
        except WharfError as error:
            log.warning("the driver of network %s does not remove it: %s", network.name, error)
        self._book.close(network.id)

    def interface(self, network: Network, settings: EndpointSettings, host_link: str) -> Interface:
        """Return an interface whose link is yet to come from the plugin."""
        del host_link
        return Interface(
            link=GivenLink(""),
            name=settings.interface,
            mac_address=settings.requested_mac,
            mtu=0,
            addresses=(),
            ipv6=network.enable_ipv6,
        )


Leaving = Sequence[tuple[RemoteDriver, Endpoint]]


class RemoteEndpoints:
    """Containers' endpoints on networks of plugins."""

    def __init__(self, table: NetworkTable, drivers: DriverSet) -> None:
        self._table = table
        self._drivers = drivers

    def _driver(self, network: Network | None) -> RemoteDriver | None:
        driver: NetworkDriver | None = self._drivers.find(network.driver) if network else None
        return driver if isinstance(driver, RemoteDriver) else None

    async def join_all(
        self, request: SandboxRequest, planned: Iterable[Planned], sandbox: str, undo: AsyncExitStack
    ) -> list[Planned]:
        """Join each endpoint that is a plugin's, and let it publish ports; `undo` leaves them again."""
        joined = list(planned)
        for number, wanted in enumerate(joined):
            taken = {p.interface.name for p in joined if p.interface and p is not wanted}
            one = joined[number] = await self.join(request, wanted, sandbox, taken)
            undo.push_async_callback(self.leave, one.endpoint)
            if driver := self._driver(one.network):
                which = {"NetworkID": one.network.id, "EndpointID": one.endpoint.id}
                await driver.call("ProgramExternalConnectivity", {**which, "Options": _ports(request)})
                await self.ask_about(one.endpoint)
        return joined

    async def ask_about(self, endpoint: Endpoint) -> None:
        """Ask a plugin how an endpoint works, as dockerd does of each that was joined. Others' are passed over.

        What it answers shows nowhere; some drivers wait for the question.
        """
        for driver, one in self.of_plugins([endpoint]):
            await self._tell(driver, one, "EndpointOperInfo")

    async def join(self, request: SandboxRequest, planned: Planned, sandbox: str, taken: Collection[str]) -> Planned:
        """Return an endpoint with the link and the gateway that its plugin gives it; others' as they are.

        `sandbox` is the path of the container's namespace, `taken` are the names of its other interfaces.
        Raises EndpointRefused, WharfError.
        """
        driver = self._driver(planned.network)
        if driver is None or planned.interface is None:
            return planned
        endpoint, network = planned.endpoint, planned.network
        which = {"NetworkID": network.id, "EndpointID": endpoint.id}
        ports = _ports(request)
        try:
            await driver.call("CreateEndpoint", {**which, "Interface": _addresses(endpoint.settings), "Options": ports})
        except WharfError as error:
            raise EndpointRefused(request.name, network.name, str(error)) from error
        try:
            answer = await driver.call("Join", {**which, "SandboxKey": sandbox, "Options": ports})
            return _with_link(planned, answer, taken)
        except BaseException:
            await self._tell(driver, endpoint, "DeleteEndpoint")
            raise

    async def leave(self, endpoint: Endpoint) -> None:
        """Tell a plugin that an endpoint is no more; what it says is for the log. Others' endpoints are passed over."""
        await self.leave_all(self.of_plugins([endpoint]))

    def of_plugins(self, endpoints: Iterable[Endpoint]) -> Leaving:
        """Return the endpoints that are plugins', for `leave_all` to be told of when their networks may be gone."""
        found = [(self._driver(self._table.find(e.network_id)), e) for e in endpoints]
        return [(driver, endpoint) for driver, endpoint in found if driver is not None]

    async def leave_all(self, leaving: Leaving) -> None:
        """Tell the plugins that these endpoints are no more."""
        for driver, endpoint in leaving:
            await self._tell(driver, endpoint, "RevokeExternalConnectivity", "Leave", "DeleteEndpoint")

    async def _tell(self, driver: RemoteDriver, endpoint: Endpoint, *methods: str) -> None:
        for method in methods:
            try:
                await driver.call(method, {"NetworkID": endpoint.network_id, "EndpointID": endpoint.id})
            except WharfError as error:
                log.warning("%s of %s on network %s: %s", method, endpoint.container, endpoint.network, error)


def _with_link(planned: Planned, answer: Mapping[str, Any], taken: Collection[str]) -> Planned:
    """Return an endpoint with what `Join` has answered. Raises RemoteRefused."""
    names = answer.get("InterfaceName")
    source = names.get("SrcName") if isinstance(names, dict) else ""
    if not isinstance(names, dict) or not isinstance(source, str) or not source or planned.interface is None:
        raise RemoteRefused("no interface name in the answer to Join")
    name = planned.interface.name
    prefix = names.get("DstPrefix")
    if isinstance(prefix, str) and prefix and not endpoint_options.interface_name(planned.endpoint.settings):
        name = next(n for i in range(len(taken) + 1) if (n := f"{prefix}{i}") not in taken)
    settings = msgspec.structs.replace(
        planned.endpoint.settings,
        interface=name,
        gateway=str(answer.get("Gateway") or ""),
        ipv6_gateway=str(answer.get("GatewayIPv6") or ""),
        mac_address=planned.interface.mac_address,
    )
    interface = replace(planned.interface, link=GivenLink(source), name=name)
    return replace(planned, endpoint=replace(planned.endpoint, settings=settings), interface=interface)


def _network(network: Network) -> dict[str, Any]:
    options: dict[str, Any] = {
        _IPV4: network.enable_ipv4,
        _IPV6: network.enable_ipv6,
        _GENERIC: dict(network.options or {}),
    }
    if network.internal:
        options[_INTERNAL] = True
    return {
        "NetworkID": network.id,
        "Options": options,
        "IPv4Data": _pools(network.pools, 4),
        "IPv6Data": _pools(network.pools, 6),
    }


def _pools(pools: Sequence[IPAMPool], version: int) -> list[dict[str, Any]]:
    found = []
    for pool in pools:
        subnet = ipaddress.ip_network(pool.subnet, strict=False)
        if subnet.version != version:
            continue
        entry: dict[str, Any] = {"AddressSpace": "LocalDefault", "Pool": str(subnet)}
        if pool.gateway:
            entry["Gateway"] = f"{pool.gateway}/{subnet.prefixlen}"
        if pool.auxiliary_addresses:
            entry["AuxAddresses"] = {name: f"{a}/{subnet.prefixlen}" for name, a in pool.auxiliary_addresses.items()}
        found.append(entry)
    return found


def _addresses(settings: EndpointSettings) -> dict[str, str]:
    ipv4 = f"{settings.ip_address}/{settings.ip_prefix_len}" if settings.ip_address else ""
    ipv6 = f"{settings.global_ipv6_address}/{settings.global_ipv6_prefix_len}" if settings.global_ipv6_address else ""
    return {"Address": ipv4, "AddressIPv6": ipv6, "MacAddress": settings.requested_mac}


def _ports(request: SandboxRequest) -> dict[str, Any]:
    return {_EXPOSED: _exposed(request), _PORTMAP: _port_map(request)}


def _exposed(request: SandboxRequest) -> list[dict[str, int]]:
    return [_port(text) for text in dict.fromkeys((*request.exposed_ports, *request.port_bindings))]


def _port_map(request: SandboxRequest) -> list[dict[str, Any]]:
    found = []
    for text, bindings in request.port_bindings.items():
        for binding in bindings or ():
            first, _, last = binding.host_port.partition("-")
            start = int(first) if first.isdigit() else 0
            end = int(last) if last.isdigit() else start
            host = {"IP": "", "HostIP": binding.host_ip, "HostPort": start, "HostPortEnd": end}
            found.append({**_port(text), **host})
    return found


def _port(text: str) -> dict[str, int]:
    number, _, protocol = text.partition("/")
    return {"Proto": _PROTOCOLS.get(protocol or "tcp", 0), "Port": int(number)}
