"""`docker network connect` and `disconnect` of a container that runs, and other ports for one.

Ports stay with the endpoint that gives the default route: when that changes, their rules follow in one transaction.
"""

import asyncio
from collections.abc import Collection

from engine.core.model.network import EndpointSettings, Network
from engine.domain.networks.allocate import Allocator
from engine.domain.networks.attach import Attacher, Kernel, Live, link_failure
from engine.domain.networks.endpoints import Endpoint, Endpoints
from engine.domain.networks.failures import AlreadyConnected, LinkFailed, NotConnected
from engine.domain.networks.gateways import Gateways, Pair, choose, port_target
from engine.domain.networks.plan import Planned
from engine.domain.networks.ports import PortMap, Published, Target
from engine.domain.networks.resolver import has_names
from engine.domain.networks.sandbox import SandboxRequest
from engine.domain.networks.table import NetworkTable


class Connector:
    """Changes the networks of running containers. The caller lets only one change of a container happen at a time."""

    def __init__(
        self, table: NetworkTable, endpoints: Endpoints, allocator: Allocator, attacher: Attacher, kernel: Kernel
    ) -> None:
        self._table = table
        self._endpoints = endpoints
        self._allocator = allocator
        self._attacher = attacher
        self._kernel = kernel

    async def connect(self, request: SandboxRequest, network: Network, wanted: EndpointSettings) -> EndpointSettings:
        """Put a running container on another network. Raises AlreadyConnected, WharfError; nothing remains then."""
        if self._endpoints.find(request.container_id, network.id):
            raise AlreadyConnected(request.name, network.name)
        live = self._attacher.live(request.container_id) or Live(request)
        taken = {e.settings.interface for e in self._endpoints.of_container(request.container_id)}
        planned = await self._allocator.plan(request, network, wanted, taken - {""})
        try:
            planned = await self._plug(live, planned, taken - {""})
        except BaseException:
            await asyncio.shield(self._allocator.give_back(planned.endpoint))
            raise
        self._endpoints.add(planned.endpoint)
        self._attacher.announce("connect", planned.endpoint)
        try:
            await self._serve_names(live, network)
            await self._settle(live, request.container_id)
        except BaseException:
            await asyncio.shield(self.disconnect(request.container_id, network))
            raise
        return planned.endpoint.settings

    async def _serve_names(self, live: Live, network: Network) -> None:
        container_id = live.request.container_id
        if not has_names(network) or self._kernel.dns.serves(container_id):
            return
        try:
            sockets = await self._kernel.netlink.inside(live.namespace, self._kernel.dns.open_inside)
        except OSError as error:
            raise LinkFailed("failed to start the container's name server", error) from error
        await self._kernel.serve_names(live, sockets)

    async def _plug(self, live: Live, planned: Planned, taken: Collection[str]) -> Planned:
        if planned.interface is None:
            return planned
        remote = self._attacher.remote
        planned = await remote.join(live.request, planned, self._kernel.netlink.path(live.namespace), taken)
        try:
            if planned.interface is not None:
                await self._kernel.netlink.add_interface(live.namespace, planned.interface)
        except OSError as error:
            await remote.leave(planned.endpoint)
            raise link_failure(error) from error
        await remote.ask_about(planned.endpoint)
        return planned

    async def disconnect(self, container_id: str, network: Network) -> None:
        """Take a running container off a network. Raises NotConnected, WharfError."""
        endpoint = self._endpoints.find(container_id, network.id)
        if endpoint is None:
            raise NotConnected(container_id, network.name)
        live = self._attacher.live(container_id)
        if endpoint.host_link:
            await self._kernel.netlink.remove_link(endpoint.host_link)
        elif endpoint.settings.interface and live is not None:
            await self._unplug(live, endpoint)
        await self._attacher.remote.leave(endpoint)
        self._endpoints.remove(endpoint)
        await self._allocator.give_back(endpoint)
        self._attacher.announce("disconnect", endpoint)
        if live is not None:
            await self._settle(live, container_id)

    async def _unplug(self, live: Live, endpoint: Endpoint) -> None:
        try:
            await self._kernel.netlink.remove_interface(live.namespace, endpoint.settings.interface)
        except OSError as error:
            raise LinkFailed("failed to disconnect the container", error) from error

    async def _settle(self, live: Live, container_id: str) -> None:
        """Give the default routes and the ports to the endpoints that now come first. Raises LinkFailed."""
        gateways = self._gateways(container_id)
        try:
            if live.namespace:
                await self._kernel.netlink.route_through(live.namespace, gateways.routes())
            await self._move_ports(live, gateways)
        except OSError as error:
            raise LinkFailed("failed to move the container's routes and ports", error) from error

    def _gateways(self, container_id: str) -> Gateways:
        connected: list[Pair] = []
        for endpoint in self._endpoints.of_container(container_id):
            network = self._table.find(endpoint.network_id)
            if network is not None:
                connected.append((network, endpoint))
        return choose(connected)

    async def _move_ports(self, live: Live, gateways: Gateways) -> None:
        before = live.published
        target = port_target(gateways, direct_routing=self._kernel.direct_routing)
        if target.shape != before.target.shape:
            await self._attacher.unpublish(before)
            live.published = Published(before.exposed)
            if target != Target():
                await self._publish_anew(live, target)
            return
        after = self._kernel.publisher.redirect(before, target)
        if after.rules != before.rules or after.relayed != before.relayed:
            await self._attacher.replace(before, after)
        live.published = after

    async def _publish_anew(self, live: Live, target: Target) -> None:
        published = self._kernel.publisher.publish(live.request, target)
        try:
            await self._attacher.publish(published)
        except BaseException:
            await self._attacher.unpublish(published)
            raise
        live.published = published

    async def republish(self, request: SandboxRequest) -> None:
        """Give a running container the ports that the request asks for; those that stay the same are not touched.

        Raises PortUnavailable, LinkFailed; then everything is as it was.
        """
        live = self._attacher.live(request.container_id)
        if live is None:
            return
        before, target = live.published, live.published.target
        if target == Target():
            live.request = request
            return
        after = self._kernel.publisher.publish(request, target, before)
        kept = {id(entry) for entry in before.entries} & {id(entry) for entry in after.entries}
        gone = Published(entries=[e for e in before.entries if id(e) not in kept], target=target)
        new = Published(entries=[e for e in after.entries if id(e) not in kept], target=target)
        try:
            await self._attacher.replace(gone, new)
        except OSError as error:
            raise LinkFailed("failed to publish the container's ports", error) from error
        live.request, live.published = request, after

    def ports(self, container_id: str) -> PortMap:
        """Return what a running container has published."""
        live = self._attacher.live(container_id)
        return live.published.ports if live else {}
