"""The networks of the daemon, and the containers on them. What other parts of the daemon call."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.core.errors import WharfError
from engine.core.model.container import Container
from engine.core.model.network import IPAMPool, Network
from engine.domain.events.bus import EventBus
from engine.domain.networks import predefined
from engine.domain.networks.attach import Attacher, Kernel
from engine.domain.networks.bridges import BridgeNetworks
from engine.domain.networks.endpoints import Endpoint, Endpoints, link_tag
from engine.domain.networks.ipam import AddressSpace
from engine.domain.networks.plan import Planner
from engine.domain.networks.ports import PortPublisher
from engine.domain.networks.restore import NetworkRestorer
from engine.domain.networks.sandbox import Attached, SandboxRequest
from engine.domain.networks.settings import NetworkSettings
from engine.domain.networks.table import NetworkTable
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


class Networks:
    """All networks. `start`, then `restore`, before anything else; `close` at the end."""

    def __init__(self, store: Store, bus: EventBus, drivers: NetworkDrivers, settings: NetworkSettings) -> None:
        self._settings = settings
        self._drivers = drivers
        self._tag = link_tag(drivers.netlink.path(""))
        publisher = PortPublisher(
            drivers.host_ports, settings.host_ip, ipv6=ipv6_works(), relay=settings.userland_proxy
        )
        kernel = Kernel(drivers.netlink, drivers.firewall, publisher, Relay(drivers.host_ports))
        self._space = AddressSpace(settings.default_address_pools)
        self._table = NetworkTable(store)
        self._bridges = BridgeNetworks(drivers.netlink, drivers.firewall, self._space)
        self._endpoints = Endpoints()
        self._attacher = Attacher(self._table, self._endpoints, Planner(self._bridges, self._tag), kernel, bus)
        self._restorer = NetworkRestorer(self._table, self._bridges, self._endpoints, self._attacher, kernel)

    async def start(self) -> None:
        """Read the records, make the predefined networks, bring all bridges up. Raises WharfError, OSError."""
        await asyncio.to_thread(self._table.load)
        await self._drivers.netlink.start()
        if self._settings.ip_forward:
            await self._drivers.netlink.enable_forwarding(ipv6=any(n.enable_ipv6 for n in self._table.all()))
        for name in ("host", "none"):
            await self._table.put(predefined.plain(name, self._table.find(name)))
        others = [n for n in self._table.all() if n.driver == "bridge" and n.name != "bridge"]
        for network in others:
            self._bridges.take_subnets(network)
        await self._start_default_bridge()
        for network in others:
            try:
                await self._bridges.bring_up(network)
            except WharfError as error:
                log.error("network %s is not available: %s", network.name, error)

    async def _start_default_bridge(self) -> None:
        present = self._table.find("bridge")
        if self._settings.bridge == "none":
            if present:
                await self._table.remove(present)
            return
        network = predefined.bridge(self._settings, await self._default_subnet(present), present)
        if network != present:
            await self._table.put(network)
        self._bridges.take_subnets(network)
        await self._bridges.bring_up(network)

    async def _default_subnet(self, present: Network | None) -> IPAMPool:
        """Return the default bridge's subnet: `--bip`, else what the bridge has, else what it had, else a free one."""
        settings = self._settings
        addresses = await self._drivers.netlink.bridge_addresses(settings.bridge)
        asked = predefined.subnet_of_settings(settings) or predefined.subnet_of_bridge(addresses, settings)
        if asked is not None:
            return asked
        if present is not None and present.ipam.config:
            return present.ipam.config[0]
        avoid = await self._drivers.netlink.routed_networks()
        subnet = self._space.take_any("bridge", avoid)
        self._space.release("bridge")
        return predefined.subnet_of_pool(subnet, settings)

    async def restore(self, running: dict[str, Container]) -> None:
        """Adopt what running containers have, set all rules, remove what nobody has. Raises OSError."""
        await self._restorer.restore(running, self._tag)

    async def attach(self, request: SandboxRequest) -> Attached:
        """Make a container's network. Raises WharfError with dockerd's text; nothing remains then."""
        return await self._attacher.attach(request)

    async def detach(self, container_id: str) -> None:
        """Disconnect a container that has ended. Idempotent."""
        await self._attacher.detach(container_id)

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
        await self._attacher.settled()
        self._drivers.firewall.close()
        self._drivers.host_ports.close()
