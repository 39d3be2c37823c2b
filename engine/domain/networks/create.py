"""`docker network create`: a bridge network with its subnets, its bridge and its rules.

The record is written first: a daemon that dies half way makes the network complete at its next start. Whatever fails,
nothing remains.
"""

import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_network

import msgspec

from engine.core import ids, times
from engine.core.model.event import EventType
from engine.core.model.network import IPAM, IPAMPool, Network
from engine.domain.events.bus import EventBus
from engine.domain.networks import options, predefined
from engine.domain.networks.addresses import first_host
from engine.domain.networks.bridges import BridgeNetworks
from engine.domain.networks.failures import (
    InvalidNetworkName,
    NetworkExists,
    NoFamilyEnabled,
    OnlyOneInstance,
    PluginNotFound,
    PredefinedNetwork,
    SameBridgeName,
    ScopeNeedsSwarm,
)
from engine.domain.networks.ipam import AddressSpace, IPNetwork
from engine.domain.networks.ipam_rules import require_valid_pools
from engine.domain.networks.table import NetworkTable


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """What `POST /networks/create` asks for."""

    name: str
    driver: str = ""
    scope: str = ""
    ipam: IPAM = field(default_factory=IPAM)
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


class NetworkCreator:
    """Makes networks."""

    def __init__(
        self, table: NetworkTable, bridges: BridgeNetworks, space: AddressSpace, bus: EventBus, defaults: "Defaults"
    ) -> None:
        self._table = table
        self._bridges = bridges
        self._space = space
        self._bus = bus
        self._defaults = defaults

    async def create(self, request: NetworkRequest, avoid: Sequence[IPNetwork]) -> Network:
        """Make a network whose subnets, unless asked for, touch none of `avoid`. Raises WharfError; nothing remains."""
        require_valid(request)
        network = self._draft(request)
        if self._table.find(request.name):
            raise NetworkExists(request.name)
        async with AsyncExitStack() as undo:
            self._table.reserve_name(network.name, network.id)
            undo.callback(self._table.free_name, network.name, network.id)
            self._require_own_bridge(network)
            undo.callback(self._space.release, network.id)
            network = self._with_pools(network, avoid)
            await self._table.intend(network)
            undo.push_async_callback(self._table.remove, network)
            undo.push_async_callback(self._bridges.bring_down, network)
            await self._bridges.bring_up(network)
            await self._bridges.open_firewall(network)
            self._table.show(network)
            undo.pop_all()
        self._bus.publish(EventType.NETWORK, "create", network.id, {"name": network.name, "type": network.driver})
        return network

    def _draft(self, request: NetworkRequest) -> Network:
        return Network(
            name=request.name,
            id=ids.new_id(),
            created_at=times.now(),
            scope=request.scope or "local",
            enable_ipv4=request.enable_ipv4,
            enable_ipv6=request.enable_ipv6,
            ipam=request.ipam,
            internal=request.internal,
            attachable=request.attachable,
            options={**self._defaults.options, **request.options},
            labels=request.labels,
        )

    def _require_own_bridge(self, network: Network) -> None:
        name = options.bridge_name(network)
        for other in self._table.all():
            if other.driver == "bridge" and options.bridge_name(other) == name:
                raise SameBridgeName(network.id, other.id, name)

    def _with_pools(self, network: Network, avoid: Sequence[IPNetwork]) -> Network:
        """Return the network with all its subnets, those asked for and those that it lacks; they are taken then."""
        pools = [_with_gateway(p) for p in network.ipam.config or () if p.subnet]
        network = msgspec.structs.replace(network, pools=pools)
        self._bridges.take_subnets(network)
        if network.enable_ipv4 and not any(":" not in p.subnet for p in pools):
            subnet: IPNetwork = self._space.take_any(network.id, avoid)
            pools.append(IPAMPool(subnet=str(subnet), gateway=first_host(subnet)))
        if network.enable_ipv6 and not any(":" in p.subnet for p in pools):
            subnet = _unique_local_subnet()
            self._space.take(network.id, [subnet])
            pools.append(IPAMPool(subnet=str(subnet), gateway=first_host(subnet)))
        return msgspec.structs.replace(network, pools=pools)


@dataclass(frozen=True, slots=True)
class Defaults:
    """Options that networks get which a client does not set (`--default-network-opt`)."""

    options: dict[str, str] = field(default_factory=dict)


def require_valid(request: NetworkRequest) -> None:
    """Raise WharfError with dockerd's text for what cannot be made."""
    if not request.name.strip():
        raise InvalidNetworkName("name is empty")
    if predefined.is_predefined(request.name):
        raise PredefinedNetwork(request.name)
    if request.scope == "swarm":
        raise ScopeNeedsSwarm
    if request.driver in ("host", "null"):
        raise OnlyOneInstance(request.driver)
    if request.driver not in ("", "bridge"):
        raise PluginNotFound(request.driver)
    if request.ipam.driver not in ("", "default"):
        raise PluginNotFound(request.ipam.driver)
    if not (request.enable_ipv4 or request.enable_ipv6):
        raise NoFamilyEnabled
    require_valid_pools(request.ipam.config or ())
    options.require_valid(request.options)


def _with_gateway(pool: IPAMPool) -> IPAMPool:
    return msgspec.structs.replace(pool, gateway=pool.gateway or first_host(ip_network(pool.subnet)))


def _unique_local_subnet() -> IPv6Network:
    """Return a /64 of a unique local prefix (RFC 4193): fd, 40 random bits, subnet 0."""
    return IPv6Network((b"\xfd" + secrets.token_bytes(5) + bytes(10), 64))
