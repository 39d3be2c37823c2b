"""`docker network create`: a network with its subnets, and what its driver makes of it.

The record is written first: a daemon that dies half way makes the network complete at its next start. Whatever fails,
nothing remains.
"""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from ipaddress import ip_network

import msgspec

from engine.core import ids, times
from engine.core.model.event import EventType
from engine.core.model.network import IPAMPool, Network
from engine.domain.events.bus import EventBus
from engine.domain.networks import options, unique_local
from engine.domain.networks.addresses import first_host
from engine.domain.networks.create_rules import require_fitting_settings, require_valid
from engine.domain.networks.driver import DriverSet, NetworkDriver
from engine.domain.networks.failures import NetworkExists, NoPool, SettingsNotFound
from engine.domain.networks.ipam import AddressSpace, IPNetwork
from engine.domain.networks.remote_ipam import RemoteIpam
from engine.domain.networks.request import NetworkRequest
from engine.domain.networks.table import NetworkTable


class NetworkCreator:
    """Makes networks."""

    def __init__(
        self,
        table: NetworkTable,
        drivers: DriverSet,
        space: AddressSpace,
        bus: EventBus,
        defaults: Mapping[str, Mapping[str, str]],
        ipam: RemoteIpam,
    ) -> None:
        """`defaults`: by driver, the options that networks get which a client does not set."""
        self._ipam = ipam
        self._table = table
        self._drivers = drivers
        self._space = space
        self._bus = bus
        self._defaults = defaults

    async def create(self, request: NetworkRequest, avoid: Sequence[IPNetwork]) -> Network:
        """Make a network whose subnets, unless asked for, touch none of `avoid`. Raises WharfError; nothing remains."""
        require_valid(request)
        if self._table.find(request.name):
            raise NetworkExists(request.name)
        require_fitting_settings(request)
        if request.config_only:
            network = await self._create_settings(request)
        else:
            network = await self._create(request, self._drivers.get(request.driver or "bridge"), avoid)
        self._bus.publish(EventType.NETWORK, "create", network.id, {"name": network.name, "type": network.driver})
        return network

    async def _create_settings(self, request: NetworkRequest) -> Network:
        """Make a network that is nothing but settings for others."""
        network = msgspec.structs.replace(_draft(request), driver="null", scope="local", config_only=True)
        await self._table.put(network)
        return network

    async def _create(self, request: NetworkRequest, driver: NetworkDriver, avoid: Sequence[IPNetwork]) -> Network:
        network = self._configured(request)
        driver.require_valid(network)
        async with AsyncExitStack() as undo:
            self._table.reserve_name(network.name, network.id)
            undo.callback(self._table.free_name, network.name, network.id)
            undo.callback(self._space.release, network.id)
            if self._ipam.manages(network.ipam):
                network = await self._with_remote_pools(network, driver, undo)
            else:
                network = self._with_pools(network, driver, avoid)
            network = await driver.prepared(network)
            driver.require_pools(network)
            await self._table.intend(network)
            undo.push_async_callback(self._table.remove, network)
            undo.push_async_callback(driver.bring_down, network)
            await driver.bring_up(network, making=True)
            await driver.open(network)
            self._table.show(network)
            undo.pop_all()
        return network

    def _configured(self, request: NetworkRequest) -> Network:
        """Return the network with the options that it has by default, or with the settings of another."""
        network = _draft(request)
        if not request.config_from:
            given = {**self._defaults.get(network.driver, {}), **request.options}
            return msgspec.structs.replace(network, options=given)
        source = self._table.find(request.config_from)
        if source is None or not source.config_only:
            raise SettingsNotFound(request.config_from)
        return msgspec.structs.replace(
            network,
            enable_ipv4=source.enable_ipv4,
            enable_ipv6=source.enable_ipv6,
            ipam=source.ipam,
            options=source.options,
            labels=source.labels,
            config_from=source.name,
        )

    async def _with_remote_pools(self, network: Network, driver: NetworkDriver, undo: AsyncExitStack) -> Network:
        """Return the network with subnets that a plugin gives, of which our own are kept away."""
        network = await self._ipam.pools(network, gateways=[v for v in (4, 6) if driver.has_gateway(network, v)])
        undo.push_async_callback(self._ipam.release_pools, network)
        self._space.note(network.id, [ip_network(pool.subnet) for pool in network.pools])
        return network

    def _with_pools(self, network: Network, driver: NetworkDriver, avoid: Sequence[IPNetwork]) -> Network:
        """Return the network with all its subnets, those asked for and those that it lacks; they are taken then."""
        asked = [p for p in network.ipam.config or () if p.subnet]
        self._space.take(network.id, [ip_network(p.subnet, strict=False) for p in asked])
        pools = list(asked)
        for version, enabled in ((4, network.enable_ipv4), (6, network.enable_ipv6)):
            if enabled and not any((":" in p.subnet) == (version == 6) for p in asked):
                pools.append(self._new_pool(network, version, avoid))
        complete = [_with_gateway(p, network, driver) for p in pools]
        return msgspec.structs.replace(network, pools=complete)

    def _new_pool(self, network: Network, version: int, avoid: Sequence[IPNetwork]) -> IPAMPool:
        if network.ipam.driver == "null":
            raise NoPool(f"ipv{version}")
        if version == 4:
            return IPAMPool(subnet=str(self._space.take_any(network.id, avoid)))
        subnet = unique_local.new_subnet()
        self._space.take(network.id, [subnet])
        return IPAMPool(subnet=str(subnet))


def _draft(request: NetworkRequest) -> Network:
    return Network(
        name=request.name,
        id=ids.new_id(),
        created_at=times.now(),
        driver=request.driver or "bridge",
        scope=request.scope or "local",
        enable_ipv4=options.enabled(request.options, 4, default=request.enable_ipv4),
        enable_ipv6=options.enabled(request.options, 6, default=request.enable_ipv6),
        ipam=request.ipam,
        internal=request.internal,
        attachable=request.attachable,
        options=request.options,
        labels=request.labels,
    )


def _with_gateway(pool: IPAMPool, network: Network, driver: NetworkDriver) -> IPAMPool:
    if pool.gateway or not driver.has_gateway(network, 6 if ":" in pool.subnet else 4):
        return pool
    gateway = first_host(ip_network(pool.subnet, strict=False), pool.ip_range)
    return msgspec.structs.replace(pool, gateway=gateway)
