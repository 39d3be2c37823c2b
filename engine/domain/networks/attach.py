"""A starting container's network: namespace, interfaces, addresses, published ports; and the end of it.

Whatever fails, what was made by then is undone. The answer to the user does not wait for the kernel to take links and
namespaces apart: that goes on in the background, and until it is done nobody else gets the addresses.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from engine.core import ids
from engine.core.errors import WharfError
from engine.core.model.container import Sandbox
from engine.core.model.event import EventType
from engine.domain.events.bus import EventBus
from engine.domain.networks.allocate import Allocator
from engine.domain.networks.embedded_dns import EmbeddedDns
from engine.domain.networks.endpoints import Endpoint, Endpoints
from engine.domain.networks.failures import InterfaceRefused, LinkFailed, PortRefused
from engine.domain.networks.gateways import Gateways, choose, port_target
from engine.domain.networks.link_rules import LinkRules
from engine.domain.networks.plan import Planned, by_name, named_first
from engine.domain.networks.ports import PortPublisher, Published, Target, exposed_ports
from engine.domain.networks.remote import Leaving, RemoteEndpoints
from engine.domain.networks.resolver import has_names
from engine.domain.networks.sandbox import Attached, SandboxRequest
from engine.domain.networks.table import NetworkTable
from engine.drivers.dns.server import DnsSockets
from engine.drivers.firewall.relay import Relay
from engine.drivers.firewall.rules import Firewall
from engine.drivers.netlink.interfaces import Interface, ParentRefused, SysctlRefused
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
    """The drivers that connect containers. `direct_routing`: ports are open at containers' own addresses, too."""

    netlink: Netlink
    firewall: Firewall
    publisher: PortPublisher
    relay: Relay
    dns: EmbeddedDns
    direct_routing: bool = False

    async def serve_names(self, live: Live, sockets: DnsSockets) -> None:
        """Answer a container's questions for names on sockets that were opened inside."""

        async def inside(make: Callable[[], socket.socket]) -> socket.socket:
            return await self.netlink.inside(live.namespace, make)

        await self.dns.serve(live.request.container_id, sockets, live.request.dns, inside)


class Attacher:
    """Connects containers as they start and disconnects them when they have ended."""

    def __init__(
        self,
        table: NetworkTable,
        endpoints: Endpoints,
        allocator: Allocator,
        kernel: Kernel,
        bus: EventBus,
        remote: RemoteEndpoints,
    ) -> None:
        self._table = table
        self.endpoints = endpoints
        self._allocator = allocator
        self._kernel = kernel
        self._bus = bus
        self.remote = remote
        self.links = LinkRules(table, endpoints, kernel.firewall)
        self._live: dict[str, Live] = {}
        self._teardowns: dict[str, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[None]] = set()

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
        await self._torn_apart(request.container_id)
        planned = await self._plan(request, undo)
        sandbox_id = ids.new_id()
        if [p.network.driver for p in planned] == ["host"]:
            live, sandbox = Live(request), Sandbox(id=sandbox_id, netns=self._kernel.netlink.path("default"))
        else:
            live = Live(request, sandbox_id[:12])
            planned = await self.remote.join_all(request, planned, self._kernel.netlink.path(live.namespace), undo)
            await self._connect(live, planned, undo)
            await self._open_links(request, planned, undo)
            netns = self._kernel.netlink.path(live.namespace)
            sandbox = Sandbox(id=sandbox_id, netns=netns, ports=live.published.ports)
        self._live[request.container_id] = live
        for endpoint in (p.endpoint for p in planned):
            self.endpoints.add(endpoint)
            if not request.silent:
                self.announce("connect", endpoint)
        return Attached(sandbox, by_name([p.endpoint for p in planned]))

    async def _open_links(self, request: SandboxRequest, planned: Iterable[Planned], undo: AsyncExitStack) -> None:
        others = [live.request for live in self._live.values()]
        try:
            await self.links.open(request, [p.endpoint for p in planned], others)
        except OSError as error:
            raise LinkFailed("failed to open the ports of linked containers", error) from error
        undo.push_async_callback(self.links.close, request.container_id)

    async def _plan(self, request: SandboxRequest, undo: AsyncExitStack) -> list[Planned]:
        wanted = named_first([(self._table.get(name), settings) for name, settings in request.networks.items()])
        planned: list[Planned] = []
        for network, settings in wanted:
            taken = [p.interface.name for p in planned if p.interface]
            one = await self._allocator.plan(request, network, settings, taken)
            undo.push_async_callback(self._allocator.give_back, one.endpoint)
            planned.append(one)
        return planned

    async def _connect(self, live: Live, planned: list[Planned], undo: AsyncExitStack) -> None:
        gateways = choose([(p.network, p.endpoint) for p in planned])
        live.published = await self._hold_ports(live.request, planned, gateways)
        undo.push_async_callback(self.unpublish, live.published)
        undo.push_async_callback(self._kernel.netlink.remove_namespace, live.namespace)
        undo.callback(self._kernel.dns.stop, live.request.container_id)
        interfaces = [_with_routes(p.interface, gateways) for p in planned if p.interface]
        wants_names = any(has_names(p.network) for p in planned)
        opening = self._kernel.dns.open_inside if wants_names else None
        undo.push_async_callback(self._kernel.netlink.remove_links, [i.host_name for i in interfaces])
        try:
            async with asyncio.TaskGroup() as both:
                making = self._kernel.netlink.create_namespace(live.namespace, interfaces, opening, live.request.pid)
                made = both.create_task(making)
                both.create_task(self.publish(live.published))
        except ExceptionGroup as group:
            # Not `except*`: before Python 3.11.4 that would wrap what is raised here in a group of its own.
            if others := group.split(OSError)[1]:
                raise others from group
            raise link_failure(_first(group)) from group
        if sockets := made.result():
            await self._kernel.serve_names(live, sockets)

    async def _hold_ports(self, request: SandboxRequest, planned: list[Planned], gateways: Gateways) -> Published:
        target = port_target(gateways, direct_routing=self._kernel.direct_routing)
        if target == Target():
            shows_ports = any(p.network.driver == "bridge" and not p.network.internal for p in planned)
            return Published(exposed_ports(request) if shows_ports else ())
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
        """Put ports that are held in force in place of others. Raises OSError; all is as it was then."""
        await self._withdraw(before)
        try:
            await self.publish(after)
        except BaseException:
            with contextlib.suppress(OSError):
                await self._withdraw(after)
            self._kernel.publisher.release(set(after.held) - set(before.held))
            await self.publish(before)
            raise
        self._kernel.publisher.release(set(before.held) - set(after.held))

    async def _withdraw(self, published: Published) -> None:
        """Put ports out of force, which stay held. Raises OSError."""
        for relayed in published.relayed:
            self._kernel.relay.close(relayed)
        if published.rules:
            await self._kernel.firewall.unpublish(published.rules)

    async def unpublish(self, published: Published) -> None:
        """Put published ports out of force and give them back. Raises OSError."""
        await self._withdraw(published)
        self._kernel.publisher.release(published.held)

    async def detach(self, container_id: str) -> None:
        """Disconnect a container that has ended. Idempotent."""
        live = self._live.pop(container_id, None)
        if live is None:
            return
        self._kernel.dns.stop(container_id)
        endpoints = self.endpoints.of_container(container_id)
        for endpoint in endpoints:
            self.endpoints.remove(endpoint)
            if not live.request.silent:
                self.announce("disconnect", endpoint)
        try:
            await self.links.close(container_id)
            await self.unpublish(live.published)
        except OSError as error:
            log.error("the published ports of container %s are not removed: %s", container_id, error)
        await self._unplug(live, endpoints)
        self._teardowns[container_id] = self._in_background(
            self._take_apart(live, endpoints, self.remote.of_plugins(endpoints))
        )

    async def _unplug(self, live: Live, endpoints: Iterable[Endpoint]) -> None:
        """Remove links that hang on a parent: the next start may want the same MAC address, or all of the parent."""
        for endpoint in endpoints:
            if endpoint.settings.interface and not endpoint.host_link:
                with contextlib.suppress(OSError):  # They end with the namespace, if that is gone.
                    await self._kernel.netlink.remove_interface(live.namespace, endpoint.settings.interface)

    async def _torn_apart(self, container_id: str) -> None:
        """Wait for the end of a container's last run: its addresses are free again then, and it gets the same ones."""
        task = self._teardowns.pop(container_id, None)
        if task is not None:
            await asyncio.wait([task])

    async def _take_apart(self, live: Live, endpoints: list[Endpoint], leaving: Leaving) -> None:
        if live.namespace:
            await self._kernel.netlink.remove_namespace(live.namespace)
        await self._kernel.netlink.remove_links(e.host_link for e in endpoints if e.host_link)
        await self._forget_udp(live.published)
        await self.remote.leave_all(leaving)
        for endpoint in endpoints:
            await self._allocator.give_back(endpoint)

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

    def _in_background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name="network-teardown")
        self._background.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        for container_id, teardown in list(self._teardowns.items()):
            if teardown is task:
                del self._teardowns[container_id]
        if not task.cancelled() and (error := task.exception()):
            log.error("taking a container's network apart failed", exc_info=error)

    async def settled(self) -> None:
        """Wait until nothing is being taken apart any more."""
        while self._background:
            await asyncio.wait(self._background)


def _with_routes(interface: Interface, gateways: Gateways) -> Interface:
    """Return an interface with those default routes that go through it."""
    routes = [r for r in gateways.routes() if r.interface == interface.name]
    return replace(
        interface,
        gateways=tuple(r.gateway for r in routes if r.gateway),
        device_routes=tuple(r.version for r in routes if not r.gateway),
    )


def link_failure(error: OSError) -> WharfError:
    """Return what a client is told when the kernel does not make an interface."""
    if isinstance(error, SysctlRefused):
        return InterfaceRefused(error.interface.host_name or error.interface.name, error.strerror or "")
    if isinstance(error, ParentRefused):
        return PortRefused(error.kind, error)
    return LinkFailed("failed to connect the container", error)


def _first(group: ExceptionGroup[Exception]) -> OSError:
    leaf: BaseException = group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf if isinstance(leaf, OSError) else OSError(str(leaf))
