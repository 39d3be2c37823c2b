"""`docker network connect` and `disconnect` of a container that runs.

Ports stay with the endpoint that gives the default route: when that changes, their rules follow in one transaction.
"""

import asyncio

from engine.core.model.network import EndpointSettings, Network
from engine.domain.networks import options
from engine.domain.networks.attach import Attacher, Kernel, Live, target
from engine.domain.networks.endpoints import Endpoint, Endpoints
from engine.domain.networks.failures import AlreadyConnected, LinkFailed, NotConnected
from engine.domain.networks.plan import Planned, Planner, in_order
from engine.domain.networks.ports import PortMap, Published
from engine.domain.networks.resolver import has_names
from engine.domain.networks.sandbox import SandboxRequest
from engine.domain.networks.table import NetworkTable


class Connector:
    """Changes the networks of running containers. The caller lets only one change of a container happen at a time."""

    def __init__(
        self, table: NetworkTable, endpoints: Endpoints, planner: Planner, attacher: Attacher, kernel: Kernel
    ) -> None:
        self._table = table
        self._endpoints = endpoints
        self._planner = planner
        self._attacher = attacher
        self._kernel = kernel

    async def connect(self, request: SandboxRequest, network: Network, wanted: EndpointSettings) -> EndpointSettings:
        """Put a running container on another network. Raises AlreadyConnected, WharfError; nothing remains then."""
        if self._endpoints.find(request.container_id, network.id):
            raise AlreadyConnected(request.name, network.name)
        live = self._attacher.live(request.container_id) or Live(request)
        number = self._free_number(request.container_id, options.interface_prefix(network))
        planned = self._planner.plan(request, network, wanted, number, default_route=False)
        try:
            await self._plug(live, planned)
        except BaseException:
            self._planner.give_back(planned.endpoint)
            raise
        self._endpoints.add(planned.endpoint)
        self._attacher.announce("connect", planned.endpoint)
        try:
            await self._serve_names(live, network)
            await self._settle(live, request)
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
        await self._kernel.dns.serve(container_id, sockets, live.request.dns)

    def _free_number(self, container_id: str, prefix: str) -> int:
        taken = {e.settings.interface for e in self._endpoints.of_container(container_id)}
        return next(n for n in range(len(taken) + 1) if f"{prefix}{n}" not in taken)

    async def _plug(self, live: Live, planned: Planned) -> None:
        if planned.interface is None:
            return
        try:
            await self._kernel.netlink.add_interface(live.namespace, planned.interface)
        except OSError as error:
            raise LinkFailed("failed to connect the container", error) from error

    async def disconnect(self, container_id: str, network: Network) -> None:
        """Take a running container off a network. Raises NotConnected, WharfError."""
        endpoint = self._endpoints.find(container_id, network.id)
        if endpoint is None:
            raise NotConnected(container_id, network.name)
        if endpoint.host_link:
            await self._kernel.netlink.remove_link(endpoint.host_link)
        self._endpoints.remove(endpoint)
        self._planner.give_back(endpoint)
        self._attacher.announce("disconnect", endpoint)
        live = self._attacher.live(container_id)
        if live is not None:
            await self._settle(live, live.request)

    async def _settle(self, live: Live, request: SandboxRequest) -> None:
        """Give the default route and the ports to the endpoint that is now the first. Raises LinkFailed."""
        first = self._first(request.container_id)
        try:
            if first is not None:
                gateways = [g for g in (first.settings.gateway, first.settings.ipv6_gateway) if g]
                if gateways:
                    await self._kernel.netlink.route_through(live.namespace, first.settings.interface, gateways)
            await self._move_ports(live, first)
        except OSError as error:
            raise LinkFailed("failed to move the container's routes and ports", error) from error

    def _first(self, container_id: str) -> Endpoint | None:
        """Return the endpoint that is to give the default route."""
        by_network = {e.network_id: e for e in self._endpoints.of_container(container_id) if e.host_link}
        found = [(n, e.settings) for i, e in by_network.items() if (n := self._table.find(i)) and not n.internal]
        return by_network[in_order(found)[0][0].id] if found else None

    async def _move_ports(self, live: Live, first: Endpoint | None) -> None:
        before = live.published
        if first is None:
            await self._attacher.unpublish(before)
            live.published = Published(ports=dict.fromkeys(before.ports))
            return
        network = self._table.get(first.network_id)
        leads_to = target(first, options.bridge_name(network))
        if not before.held:
            live.published = self._kernel.publisher.publish(live.request, leads_to)
            await self._attacher.publish(live.published)
            return
        after = self._kernel.publisher.redirect(before, leads_to)
        if after.rules != before.rules or after.relayed != before.relayed:
            await self._attacher.replace(before, after)
            live.published = after

    def ports(self, container_id: str) -> PortMap:
        """Return what a running container has published."""
        live = self._attacher.live(container_id)
        return live.published.ports if live else {}
