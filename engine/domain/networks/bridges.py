"""The kernel's side of bridge networks: their bridges, their rules, their addresses."""

import ipaddress
from collections.abc import Sequence

from engine.core.model.network import Network
from engine.domain.networks import options
from engine.domain.networks.addresses import NetworkAddresses
from engine.domain.networks.failures import BridgeDown, LinkFailed
from engine.domain.networks.ipam import AddressSpace, mac_of
from engine.drivers.firewall.rules import BridgeRules, Firewall
from engine.drivers.netlink.bridges import Bridge
from engine.drivers.netlink.netlink import Netlink


class BridgeNetworks:
    """The bridge networks that are up."""

    def __init__(self, netlink: Netlink, firewall: Firewall, space: AddressSpace) -> None:
        self._netlink = netlink
        self._firewall = firewall
        self._space = space
        self._addresses: dict[str, NetworkAddresses] = {}
        self._rules: dict[str, BridgeRules] = {}

    def addresses(self, network_id: str) -> NetworkAddresses:
        """Return the addresses of a network that is up. Raises BridgeDown."""
        if network_id not in self._addresses:
            raise BridgeDown(network_id)
        return self._addresses[network_id]

    def is_up(self, network_id: str) -> bool:
        """Tell whether a network has its bridge."""
        return network_id in self._addresses

    def rules(self) -> Sequence[BridgeRules]:
        """Return what the firewall is to know of all bridges."""
        return list(self._rules.values())

    def take_subnets(self, network: Network) -> None:
        """Take the network's subnets, so that no other gets them. Raises PoolOverlaps."""
        subnets = [ipaddress.ip_network(c.subnet, strict=False) for c in network.pools]
        self._space.take(network.id, subnets)

    async def bring_up(self, network: Network) -> None:
        """Make or adopt the bridge of a network whose subnets are taken, without rules yet. Raises LinkFailed."""
        addresses = NetworkAddresses(network)
        name = options.bridge_name(network)
        ipv4 = [g for g in addresses.gateways if ":" not in g]
        mac = mac_of(ipv4[0].partition("/")[0]) if ipv4 else ""
        bridge = Bridge(name, addresses.gateways, mac, options.mtu(network), ipv6=network.enable_ipv6)
        try:
            await self._netlink.ensure_bridge(bridge)
        except OSError as error:
            raise LinkFailed(f"failed to create bridge {name} for network {network.name}", error) from error
        self._addresses[network.id] = addresses
        self._rules[network.id] = BridgeRules(
            name, addresses.subnets, options.masquerade(network), network.internal, options.icc(network)
        )

    async def open_firewall(self, network: Network) -> None:
        """Put the rules of one network in force. Raises LinkFailed."""
        try:
            await self._firewall.add_bridge(self._rules[network.id])
        except OSError as error:
            raise LinkFailed(f"failed to set the firewall rules of network {network.name}", error) from error

    async def bring_down(self, network: Network, *, remove_bridge: bool = True) -> None:
        """Remove a network's rules and its bridge, and give its subnets back. Idempotent."""
        rules = self._rules.pop(network.id, None)
        if rules is not None:
            await self._firewall.remove_bridge(rules)
            if remove_bridge:
                await self._netlink.remove_link(rules.bridge)
        self._addresses.pop(network.id, None)
        self._space.release(network.id)
