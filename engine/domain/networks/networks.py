"""The networks of the daemon, and the containers on them. What other parts of the daemon call."""

import asyncio
import ipaddress
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.core.errors import WharfError
from engine.core.filters import Filters
from engine.core.model.container import Container
from engine.core.model.event import EventType
from engine.core.model.network import EndpointSettings, IPAMPool, Network
from engine.domain.events.bus import EventBus
from engine.domain.networks import predefined, unique_local
from engine.domain.networks.addresses import AddressBook
from engine.domain.networks.allocate import Allocator, lease_key
from engine.domain.networks.attach import Attacher, Kernel
from engine.domain.networks.bridges import BridgeDriver
from engine.domain.networks.connect import Connector
from engine.domain.networks.create import NetworkCreator
from engine.domain.networks.driver import DriverSet
from engine.domain.networks.embedded_dns import EmbeddedDns
from engine.domain.networks.endpoints import Endpoint, Endpoints, link_tag
from engine.domain.networks.failures import HasActiveEndpoints, PredefinedNotRemovable, SettingsInUse
from engine.domain.networks.ipam import AddressSpace
from engine.domain.networks.parents import IPVLAN, MACVLAN, ParentDriver
from engine.domain.networks.plan import Planner
from engine.domain.networks.ports import PortMap, PortPublisher
from engine.domain.networks.remote import NetworkPlugins, NoNetworkPlugins, RemoteDriver, RemoteEndpoints
from engine.domain.networks.remote_ipam import IpamPlugins, NoIpamPlugins, RemoteIpam
from engine.domain.networks.request import NetworkRequest
from engine.domain.networks.resolver import Names, Upstream
from engine.domain.networks.restore import NetworkRestorer
from engine.domain.networks.sandbox import Attached, SandboxRequest
from engine.domain.networks.select import prunable, select
from engine.domain.networks.settings import ALL_ADDRESSES, NetworkSettings
from engine.domain.networks.table import NetworkTable
from engine.drivers.firewall.dns_redirect import redirect_dns
from engine.drivers.firewall.host_ports import HostPorts, ipv6_works
from engine.drivers.firewall.relay import Relay
from engine.drivers.firewall.rules import Firewall
from engine.drivers.netlink.netlink import Netlink
from engine.state.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NetworkDrivers:
    """What networks need of the kernel."""

    netlink: Netlink
    firewall: Firewall
    host_ports: HostPorts


@dataclass(frozen=True, slots=True)
class PluginDrivers:
    """Drivers that are plugins: of networks, of addresses."""

    networks: NetworkPlugins = field(default_factory=NoNetworkPlugins)
    ipam: IpamPlugins = field(default_factory=NoIpamPlugins)


class Networks:
    """All networks. `start`, then `restore`, before anything else; `close` at the end."""

    def __init__(
        self,
        store: Store,
        bus: EventBus,
        drivers: NetworkDrivers,
        settings: NetworkSettings,
        plugins: PluginDrivers | None = None,
    ) -> None:
        """`plugins` are the drivers that are not our own."""
        self._settings = settings
        self._drivers = drivers
        self._tag = link_tag(drivers.netlink.path(""))
        self._bus = bus
        self._changes = asyncio.Lock()
        self._renames: asyncio.Task[None] | None = None
        self._space = AddressSpace(settings.default_address_pools)
        self._table = NetworkTable(store)
        self._book = AddressBook()
        self._bridges = BridgeDriver(
            drivers.netlink, drivers.firewall, self._table, self._book, direct_routing=settings.direct_routing
        )
        remote = plugins or PluginDrivers()
        self._ipam = RemoteIpam(remote.ipam, store)
        self._network_drivers = DriverSet(lambda name: RemoteDriver(name, remote.networks, self._book))
        self._network_drivers.add("bridge", self._bridges)
        for kind in (MACVLAN, IPVLAN):
            self._network_drivers.add(kind.name, ParentDriver(kind, drivers.netlink, self._table, self._book))
        self._endpoints = Endpoints()
        kernel = self._kernel()
        allocator = Allocator(Planner(self._network_drivers, self._book, self._tag), self._ipam)
        self._dns = kernel.dns
        remote_endpoints = RemoteEndpoints(self._table, self._network_drivers)
        self._attacher = Attacher(self._table, self._endpoints, allocator, kernel, bus, remote_endpoints)
        self._connector = Connector(self._table, self._endpoints, allocator, self._attacher, kernel)
        self._creator = NetworkCreator(
            self._table, self._network_drivers, self._space, bus, settings.network_options, self._ipam
        )
        self._restorer = NetworkRestorer(self._table, self._book, self._bridges, self._attacher, kernel)

    def _kernel(self) -> Kernel:
        drivers, settings = self._drivers, self._settings
        publisher = PortPublisher(drivers.host_ports, ALL_ADDRESSES, ipv6=ipv6_works(), relay=settings.userland_proxy)
        dns = EmbeddedDns(Names(self._table, self._endpoints), Upstream(settings.dns), redirect_dns)
        relay = Relay(drivers.host_ports)
        return Kernel(drivers.netlink, drivers.firewall, publisher, relay, dns, settings.direct_routing)

    async def start(self) -> None:
        """Read the records, make the predefined networks, bring all networks up. Raises WharfError, OSError."""
        await asyncio.to_thread(self._table.load)
        await self._drivers.netlink.start()
        await self._let_route(ipv6=self._settings.ipv6 or any(n.enable_ipv6 for n in self._table.all()))
        for name in ("host", "none"):
            await self._table.put(predefined.plain(name, self._table.find(name)))
        others = [n for n in self._table.all() if self._network_drivers.find(n.driver) and n.name != "bridge"]
        for network in others:
            self._take_subnets(network)
        await self._start_default_bridge()
        for network in others:
            try:
                await self._network_drivers.get(network.driver).bring_up(network, making=False)
            except WharfError as error:
                log.error("network %s is not available: %s", network.name, error)

    async def _let_route(self, *, ipv6: bool) -> None:
        """Let the host route; what it did not route before is let through only where containers are concerned."""
        if not self._settings.ip_forward:
            return
        enabled = await self._drivers.netlink.enable_forwarding(ipv6=ipv6)
        if enabled and self._settings.forward_drop:
            await self._drivers.firewall.drop_forwarded(enabled)

    def _take_subnets(self, network: Network) -> None:
        """Take the network's subnets, so that no other gets them. Raises PoolOverlaps."""
        take = self._space.note if network.pool_ids else self._space.take
        take(network.id, [ipaddress.ip_network(p.subnet, strict=False) for p in network.pools])

    async def _start_default_bridge(self) -> None:
        present = self._table.find("bridge")
        if self._settings.bridge == "none":
            if present:
                await self._table.remove(present)
            return
        pools = [await self._default_subnet(present)]
        if self._settings.ipv6:
            pools.append(self._default_ipv6_subnet(present))
        network = predefined.bridge(self._settings, pools, present)
        if network != present:
            await self._table.put(network)
        self._take_subnets(network)
        await self._bridges.bring_up(network, making=False)

    async def _default_subnet(self, present: Network | None) -> IPAMPool:
        """Return the default bridge's subnet: `--bip`, else what the bridge has, else what it had, else a free one."""
        settings = self._settings
        addresses = await self._drivers.netlink.bridge_addresses(settings.bridge)
        asked = predefined.subnet_of_settings(settings) or predefined.subnet_of_bridge(addresses, settings)
        if asked is not None:
            return asked
        if present is not None and present.pools:
            return predefined.subnet_of(predefined.own_address(present.pools[0]), settings)
        avoid = await self._drivers.netlink.routed_networks()
        subnet = self._space.take_any("bridge", avoid)
        self._space.release("bridge")
        return predefined.subnet_of_pool(subnet, settings)

    def _default_ipv6_subnet(self, present: Network | None) -> IPAMPool:
        """Return the default bridge's IPv6 subnet: what the settings say, else what it had, else a new one."""
        if asked := predefined.ipv6_subnet(self._settings):
            return asked
        had = [p for p in (present.pools if present else ()) if ":" in p.subnet]
        if had:
            return predefined.subnet_of(predefined.own_address(had[0]), self._settings)
        return predefined.subnet_of_pool(unique_local.new_subnet(), self._settings)

    async def _follow_renames(self) -> None:
        """Containers are renamed above us; names are looked up here."""
        with self._bus.subscribe(filters={"type": ["container"], "event": ["rename"]}) as renames:
            async for event in renames:
                self._endpoints.rename(event.actor, event.attributes["name"])

    async def restore(self, running: dict[str, Container]) -> None:
        """Adopt what running containers have, set all rules, remove what nobody has. Raises OSError."""
        await self._restorer.restore(running, self._tag)
        held = {lease_key(e.container_id, e.network_id) for e in self._endpoints.all()}
        await self._ipam.restore(held, self._table.all())
        self._renames = asyncio.get_running_loop().create_task(self._follow_renames(), name="network-renames")

    async def attach(self, request: SandboxRequest) -> Attached:
        """Make a container's network. Raises WharfError with dockerd's text; nothing remains then."""
        return await self._attacher.attach(request)

    async def detach(self, container_id: str) -> None:
        """Disconnect a container that has ended. Idempotent."""
        await self._attacher.detach(container_id)

    async def create(self, request: NetworkRequest) -> Network:
        """Make a network. Raises WharfError with dockerd's text; nothing remains then."""
        async with self._changes:
            avoid = await self._drivers.netlink.routed_networks()
            if request.enable_ipv6:
                await self._let_route(ipv6=True)
            return await self._creator.create(request, avoid)

    async def remove(self, reference: str) -> None:
        """Remove a network. Raises NetworkNotFound, PredefinedNotRemovable, HasActiveEndpoints."""
        async with self._changes:
            network = self._table.get(reference)
            if predefined.is_predefined(network.name):
                raise PredefinedNotRemovable(network.name)
            if self._is_source(network):
                raise SettingsInUse(network.name)
            used = self._endpoints.on_network(network.id)
            if used:
                raise HasActiveEndpoints(network.name, [(e.container, e.id) for e in used])
            await self._remove(network)

    async def _remove(self, network: Network) -> None:
        self._table.hide(network)
        await self._attacher.settled()
        if driver := self._network_drivers.find(network.driver):
            await driver.bring_down(network)
        self._space.release(network.id)
        await self._ipam.release_pools(network)
        await self._table.remove(network)
        self._bus.publish(EventType.NETWORK, "destroy", network.id, {"name": network.name, "type": network.driver})

    async def prune(self, filters: Filters) -> list[str]:
        """Remove the networks that nobody uses and that fit; return their names. Raises InvalidFilter."""
        async with self._changes:
            unused = prunable(self._table.all(), filters, lambda n: self._is_unused(n) and not self._is_source(n))
            for network in unused:
                await self._remove(network)
        self._bus.publish(EventType.NETWORK, "prune", "", {"reclaimed": "0"})
        return [n.name for n in unused]

    def select(self, filters: Filters) -> list[Network]:
        """Return the networks that fit, the oldest first. Raises InvalidFilter and its like."""
        return sorted(select(self._table.all(), filters, self._is_unused), key=lambda n: n.created_at)

    def _is_source(self, network: Network) -> bool:
        """Tell whether other networks have their settings from a network."""
        return network.config_only and any(n.config_from == network.name for n in self._table.all())

    def _is_unused(self, network: Network) -> bool:
        return not self._endpoints.on_network(network.id)

    async def connect(self, request: SandboxRequest, network: Network, wanted: EndpointSettings) -> EndpointSettings:
        """Put a running container on another network. Raises AlreadyConnected, WharfError; nothing remains then."""
        return await self._connector.connect(request, network, wanted)

    async def disconnect(self, container_id: str, network: Network) -> None:
        """Take a running container off a network. Raises NotConnected, WharfError."""
        await self._connector.disconnect(container_id, network)

    async def republish(self, request: SandboxRequest) -> None:
        """Give a running container other published ports. Raises PortUnavailable, LinkFailed; all is as before then."""
        await self._connector.republish(request)

    def ports(self, container_id: str) -> PortMap:
        """Return what a running container has published."""
        return self._connector.ports(container_id)

    def all(self) -> Iterable[Network]:
        """Return every network, in no particular order."""
        return self._table.all()

    def find(self, reference: str) -> Network | None:
        """Return the network with that id or name, None where there is none."""
        return self._table.find(reference)

    def get(self, reference: str) -> Network:
        """Return the network with that id, name or unique id prefix. Raises NetworkNotFound, AmbiguousNetwork."""
        return self._table.get(reference)

    def endpoints(self, network_id: str) -> Mapping[str, Endpoint]:
        """Return a network's endpoints by container id."""
        return {e.container_id: e for e in self._endpoints.on_network(network_id)}

    async def close(self) -> None:
        """Finish what is being taken apart; containers keep their networks."""
        if self._renames is not None:
            self._renames.cancel()
            await asyncio.gather(self._renames, return_exceptions=True)
        await self._attacher.settled()
        await self._ipam.close()
        self._dns.close()
        self._drivers.firewall.close()
        self._drivers.host_ports.close()
