"""Networks of the driver `bridge`: their bridges and their rules."""

import itertools
from collections.abc import Iterable, Sequence
from ipaddress import ip_network

import msgspec

from engine.core.model.network import EndpointSettings, Network
from engine.domain.networks import options
from engine.domain.networks.addresses import AddressBook, NetworkAddresses
from engine.domain.networks.failures import (
    BridgesOverlap,
    ExistingLinkUnfit,
    LinkFailed,
    LinkRefused,
    SameBridgeName,
    SeveralSubnets,
)
from engine.domain.networks.ipam import mac_of, overlap
from engine.domain.networks.link_rules import needs_rules
from engine.domain.networks.options import GatewayMode
from engine.domain.networks.table import NetworkTable
from engine.drivers.firewall.rules import BridgeRules, Entry, Firewall
from engine.drivers.netlink.bridges import Bridge, NotABridge
from engine.drivers.netlink.interfaces import BridgePort, Interface
from engine.drivers.netlink.netlink import Netlink

_ENTRIES = {GatewayMode.ROUTED: Entry.PORTS, GatewayMode.UNPROTECTED: Entry.EVERYTHING}


class BridgeDriver:
    """Makes bridges, and keeps their rules in force."""

    hosts_ports = True

    def __init__(
        self, netlink: Netlink, firewall: Firewall, table: NetworkTable, book: AddressBook, *, direct_routing: bool
    ) -> None:
        """`direct_routing`: published ports are open at containers' own addresses, too."""
        self._netlink = netlink
        self._firewall = firewall
        self._table = table
        self._book = book
        self._direct_routing = direct_routing
        self._rules: dict[str, BridgeRules] = {}

    def rules(self) -> Sequence[BridgeRules]:
        """Return what the firewall is to know of all bridges."""
        return list(self._rules.values())

    def require_valid(self, network: Network) -> None:
        """Raise InvalidOption and its like, SameBridgeName."""
        options.require_valid(network.options or {}, internal=network.internal)
        name = options.bridge_name(network)
        for other in self._table.all():
            if other.driver == "bridge" and other.id != network.id and options.bridge_name(other) == name:
                raise SameBridgeName(network.id, other.id, name)

    def has_gateway(self, network: Network, version: int) -> bool:
        """Only an isolated bridge has no address."""
        return options.gateway_mode(network, version) is not GatewayMode.ISOLATED

    def require_pools(self, network: Network) -> None:
        """Raise SeveralSubnets, BridgesOverlap."""
        versions = [_version(p.subnet) for p in network.pools]
        if len(versions) != len(set(versions)):
            raise SeveralSubnets
        for other in self._table.all():
            if other.driver == "bridge" and other.id != network.id:
                _require_apart(network, other)

    async def prepared(self, network: Network) -> Network:
        """Note whether the bridge is somebody else's."""
        found = await self._netlink.link_exists(options.bridge_name(network))
        return msgspec.structs.replace(network, keeps_link=found)

    async def bring_up(self, network: Network, *, making: bool) -> None:
        """Make or adopt the bridge, without rules yet. Raises LinkRefused, LinkFailed, GatewayTaken and its like."""
        addresses = self._book.open(network)
        bridge = _bridge(network, addresses)
        try:
            await self._netlink.ensure_bridge(bridge)
        except OSError as error:
            self._book.close(network.id)
            if isinstance(error, NotABridge):
                raise ExistingLinkUnfit(bridge.name) from error
            if making:
                raise LinkRefused(error) from error
            raise LinkFailed(f"failed to create bridge {bridge.name} for network {network.name}", error) from error
        self._rules[network.id] = _rules(network, addresses.subnets, direct_routing=self._direct_routing)

    async def open(self, network: Network) -> None:
        """Put the rules of one network in force. Raises LinkFailed."""
        try:
            await self._firewall.add_bridge(self._rules[network.id])
        except OSError as error:
            raise LinkFailed(f"failed to set the firewall rules of network {network.name}", error) from error

    async def bring_down(self, network: Network) -> None:
        """Remove a network's rules and its bridge. Idempotent."""
        rules = self._rules.pop(network.id, None)
        if rules is not None:
            await self._firewall.remove_bridge(rules)
            if not network.keeps_link:
                await self._netlink.remove_link(rules.bridge)
        self._book.close(network.id)

    def interface(self, network: Network, settings: EndpointSettings, host_link: str) -> Interface:
        """Return a veth on the bridge."""
        return Interface(
            link=BridgePort(host_link, options.bridge_name(network), isolated=not options.icc(network)),
            name=settings.interface,
            mac_address=settings.mac_address,
            mtu=options.mtu(network),
            addresses=(),
            ipv6=network.enable_ipv6,
        )


def _bridge(network: Network, addresses: NetworkAddresses) -> Bridge:
    ipv4 = [a for a in addresses.own if _version(a) == 4]
    inhibited = ipv4 if options.inhibit_ipv4(network) else ()
    return Bridge(
        name=options.bridge_name(network),
        addresses=tuple(a for a in addresses.own if a not in inhibited),
        mac_address=mac_of(ipv4[0].partition("/")[0]) if ipv4 else "",
        mtu=options.mtu(network),
        ipv6=network.enable_ipv6,
        routes_within=needs_rules(network),
    )


def _rules(network: Network, subnets: Iterable[str], *, direct_routing: bool) -> BridgeRules:
    masqueraded = [s for s in subnets if options.masquerade(network, _version(s))]
    modes = {version: options.gateway_mode(network, version) for version in (4, 6)}
    entry = {version: _ENTRIES[mode] for version, mode in modes.items() if mode in _ENTRIES}
    if direct_routing:
        entry = {4: Entry.PORTS, 6: Entry.PORTS, **entry}
    return BridgeRules(
        bridge=options.bridge_name(network),
        masqueraded=tuple(masqueraded),
        internal=network.internal,
        icc=options.icc(network),
        entry=entry,
        trusted=options.trusted_interfaces(network),
        sources={s: source for s in masqueraded if (source := options.source(network, _version(s)))},
    )


def _version(subnet: str) -> int:
    return 6 if ":" in subnet else 4


def _require_apart(network: Network, other: Network) -> None:
    """Raise BridgesOverlap."""
    for pool, theirs in itertools.product(network.pools, other.pools):
        if overlap(ip_network(pool.subnet, strict=False), ip_network(theirs.subnet, strict=False)):
            ends = [(one.id, options.bridge_name(one)) for one in (network, other)]
            raise BridgesOverlap(ends[0], ends[1], _version(pool.subnet))
