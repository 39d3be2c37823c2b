"""A starting container's network: namespace, interfaces, addresses, published ports; and the end of it.

Whatever fails, what was made by then is undone. The answer to the user does not wait for the kernel to take links and
namespaces apart: that goes on in the background, and until it is done nobody else gets the addresses.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from engine.core import ids
from engine.core.errors import WharfError
from engine.core.model.container import Sandbox
from engine.core.model.event import EventType
from engine.domain.events.bus import EventBus
from engine.domain.networks import options
from engine.domain.networks.embedded_dns import EmbeddedDns
from engine.domain.networks.endpoints import Endpoint, Endpoints
from engine.domain.networks.failures import LinkFailed
from engine.domain.networks.plan import Planned, Planner, by_name, in_order
from engine.domain.networks.ports import PortPublisher, Published, Target, unpublished
from engine.domain.networks.resolver import has_names
from engine.domain.networks.sandbox import Attached, SandboxRequest
from engine.domain.networks.table import NetworkTable
from engine.drivers.firewall.relay import Relay
from engine.drivers.firewall.rules import Firewall
from engine.drivers.netlink.netlink import Netlink

log = logging.getLogger(__name__)
_FEW_PORTS = 64  # Some 40 microseconds each; more of them are held in a thread.


@dataclass(slots=True)
class Live:
    """A running container's network. `namespace` is empty for one on the host's."""

    request: SandboxRequest
    namespace: str = ""
    published: Published = field(default_factory=Published)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The drivers that connect containers."""

    netlink: Netlink
    firewall: Firewall
    publisher: PortPublisher
    relay: Relay
    dns: EmbeddedDns


class Attacher:
    """Connects containers as they start and disconnects them when they have ended."""

    def __init__(
        self, table: NetworkTable, endpoints: Endpoints, planner: Planner, kernel: Kernel, bus: EventBus
    ) -> None:
        self._table = table
        self._endpoints = endpoints
        self._planner = planner
        self._kernel = kernel
        self._bus = bus
        self._live: dict[str, Live] = {}
        self._teardowns: set[asyncio.Task[None]] = set()

    def live(self, container_id: str) -> Live | None:
        """Return what a running container has, or None."""
        return self._live.get(container_id)

    def adopt(self, container_id: str, live: Live) -> None:
        """Take over what a running container has had since before the daemon started."""
        self._live[container_id] = live

    async def attach(self, request: SandboxRequest) -> Attached:
        """Make a container's network. Raises WharfError with dockerd's text; nothing remains then."""
        try:
            async with AsyncExitStack() as undo:
                attached = await self._attach(request, undo)
                undo.pop_all()
        except WharfError as error:
            error.args = (f"failed to set up container networking: {error}",)
            raise
        return attached

    async def _attach(self, request: SandboxRequest, undo: AsyncExitStack) -> Attached:
        await self.detach(request.container_id)
        planned = self._plan(request, undo)
        sandbox_id = ids.new_id()
        if [p.network.driver for p in planned] == ["host"]:
            live, sandbox = Live(request), Sandbox(id=sandbox_id, netns=self._kernel.netlink.path("default"))
        else:
            live = Live(request, sandbox_id[:12])
            await self._connect(live, planned, undo)
            netns = self._kernel.netlink.path(live.namespace)
            sandbox = Sandbox(id=sandbox_id, netns=netns, ports=live.published.ports)
        self._live[request.container_id] = live
        for endpoint in (p.endpoint for p in planned):
            self._endpoints.add(endpoint)
            if not request.silent:
                self.announce("connect", endpoint)
        return Attached(sandbox, by_name([p.endpoint for p in planned]))

    def _plan(self, request: SandboxRequest, undo: AsyncExitStack) -> list[Planned]:
        wanted = in_order([(self._table.get(name), settings) for name, settings in request.networks.items()])
        planned: list[Planned] = []
        for number, (network, settings) in enumerate(wanted):
            one = self._planner.plan(request, network, settings, number, default_route=number == 0)
            undo.callback(self._planner.give_back, one.endpoint)
            planned.append(one)
        return planned

    async def _connect(self, live: Live, planned: list[Planned], undo: AsyncExitStack) -> None:
        live.published = await self._hold_ports(live.request, planned)
        undo.push_async_callback(self.unpublish, live.published)
        undo.push_async_callback(self._kernel.netlink.remove_namespace, live.namespace)
        undo.callback(self._kernel.dns.stop, live.request.container_id)
        interfaces = [p.interface for p in planned if p.interface]
        wants_names = any(has_names(p.network) for p in planned)
        opening = self._kernel.dns.open_inside if wants_names else None
        undo.push_async_callback(self._kernel.netlink.remove_links, [i.host_name for i in interfaces])
        try:
            async with asyncio.TaskGroup() as both:
                made = both.create_task(self._kernel.netlink.create_namespace(live.namespace, interfaces, opening))
                both.create_task(self.publish(live.published))
        except* OSError as group:
            raise LinkFailed("failed to connect the container", _first(group)) from group
        if sockets := made.result():
            await self._kernel.dns.serve(live.request.container_id, sockets, live.request.dns)

    async def _hold_ports(self, request: SandboxRequest, planned: list[Planned]) -> Published:
        target = next((target_of(p) for p in planned if p.interface and not p.network.internal), None)
        if target is None:
            has_network = any(p.interface for p in planned)
            return Published(ports=unpublished(request) if has_network else {})
        if len(request.port_bindings) + len(request.exposed_ports) <= _FEW_PORTS:
            return self._kernel.publisher.publish(request, target)
        holding = asyncio.ensure_future(asyncio.to_thread(self._kernel.publisher.publish, request, target))
        try:
            return await asyncio.shield(holding)
        except asyncio.CancelledError:
            self._kernel.publisher.release((await holding).held)
            raise

    async def publish(self, published: Published) -> None:
        """Put published ports, which are held, in force. Raises OSError."""
        if published.rules:
            await self._kernel.firewall.publish(published.rules)
            self._in_background(self._forget_udp(published))
        for relayed in published.relayed:
            await self._kernel.relay.open(relayed)

    async def replace(self, before: Published, after: Published) -> None:
        """Let ports that are published lead elsewhere. Raises OSError."""
        for relayed in before.relayed:
            self._kernel.relay.close(relayed)
        await self._kernel.firewall.unpublish(before.rules)
        await self.publish(after)

    async def unpublish(self, published: Published) -> None:
        """Put published ports out of force and give them back. Raises OSError."""
        for relayed in published.relayed:
            self._kernel.relay.close(relayed)
        if published.rules:
            await self._kernel.firewall.unpublish(published.rules)
        self._kernel.publisher.release(published.held)

    async def detach(self, container_id: str) -> None:
        """Disconnect a container that has ended. Idempotent."""
        live = self._live.pop(container_id, None)
        if live is None:
            return
        self._kernel.dns.stop(container_id)
        endpoints = self._endpoints.of_container(container_id)
        for endpoint in endpoints:
            self._endpoints.remove(endpoint)
            if not live.request.silent:
                self.announce("disconnect", endpoint)
        try:
            await self.unpublish(live.published)
        except OSError as error:
            log.error("the published ports of container %s are not removed: %s", container_id, error)
        self._in_background(self._take_apart(live, endpoints))

    async def _take_apart(self, live: Live, endpoints: list[Endpoint]) -> None:
        if live.namespace:
            await self._kernel.netlink.remove_namespace(live.namespace)
        await self._kernel.netlink.remove_links(e.host_link for e in endpoints if e.host_link)
        await self._forget_udp(live.published)
        for endpoint in endpoints:
            self._planner.give_back(endpoint)

    async def _forget_udp(self, published: Published) -> None:
        """Let the rules as they are now decide where UDP clients' packets go that were led elsewhere so far."""
        udp = [r for r in published.rules if r.protocol == "udp" and not r.ipv6]
        if not udp:
            return
        try:
            addresses, ports = {r.container_address for r in udp}, {r.host_port for r in udp}
            await self._kernel.netlink.forget_udp(addresses, ports)
        except OSError as error:
            log.warning("UDP clients of published ports may be misled for a while: %s", error)

    def announce(self, action: str, endpoint: Endpoint) -> None:
        """Publish that a container is, or is no longer, on a network."""
        network = self._table.find(endpoint.network_id)
        attributes = {
            "container": endpoint.container_id,
            "name": endpoint.network,
            "type": network.driver if network else "",
        }
        self._bus.publish(EventType.NETWORK, action, endpoint.network_id, attributes)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="network-teardown")
        self._teardowns.add(task)
        task.add_done_callback(self._torn_down)

    def _torn_down(self, task: asyncio.Task[None]) -> None:
        self._teardowns.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("taking a container's network apart failed", exc_info=error)

    async def settled(self) -> None:
        """Wait until nothing is being taken apart any more."""
        while self._teardowns:
            await asyncio.wait(self._teardowns)


def target_of(planned: Planned) -> Target:
    """Return where the ports of a container lead that publishes them on this endpoint."""
    return target(planned.endpoint, options.bridge_name(planned.network))


def target(endpoint: Endpoint, bridge: str) -> Target:
    """Return where ports lead that are published on an endpoint."""
    settings = endpoint.settings
    return Target(bridge, settings.ip_address, settings.global_ipv6_address, endpoint.container, endpoint.id)


def _first(group: BaseExceptionGroup[OSError]) -> OSError:
    leaf: BaseException = group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf if isinstance(leaf, OSError) else OSError(str(leaf))
