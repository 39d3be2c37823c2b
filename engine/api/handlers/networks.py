"""Networks: list, inspect, create, remove, connect, disconnect, prune."""

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import query
from engine.api.wire.body import read_json
from engine.api.wire.networks import ConnectRequest, CreateRequest, DisconnectRequest, encode_network
from engine.domain.containers.network_connect import NetworkConnector
from engine.domain.networks.failures import NetworkNotFound
from engine.domain.networks.networks import Networks


class NetworkHandlers:
    """The routes below /networks."""

    def __init__(self, networks: Networks, connector: NetworkConnector) -> None:
        self._networks = networks
        self._connector = connector

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/networks", self.list),
            Route("GET", "/networks/", self.list),
            Route("GET", "/networks/{name:.*}", self.inspect),
            Route("POST", "/networks/create", self.create, finishes=True),
            Route("POST", "/networks/prune", self.prune, finishes=True),
            Route("POST", "/networks/{name:.*}/connect", self.connect, finishes=True),
            Route("POST", "/networks/{name:.*}/disconnect", self.disconnect, finishes=True),
            Route("DELETE", "/networks/{name:.*}", self.remove, finishes=True),
        ]

    async def list(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /networks. Before API 1.28 the containers of each network were shown."""
        detailed = request["api_version"] < (1, 28)
        found = self._networks.select(query.filters(request))
        return reply.json([encode_network(n, self._networks.endpoints(n.id) if detailed else {}) for n in found])

    async def inspect(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /networks/{name}."""
        network = self._networks.get(request["name"])
        if query.text(request, "scope", network.scope) not in ("", network.scope):
            raise NetworkNotFound(request["name"])
        return reply.json(encode_network(network, self._networks.endpoints(network.id)))

    async def create(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /networks/create."""
        network = await self._networks.create((await read_json(request, CreateRequest, required=False)).request())
        return reply.json({"Id": network.id, "Warning": ""}, 201)

    async def remove(self, request: web.BaseRequest) -> web.StreamResponse:
        """DELETE /networks/{name}."""
        await self._networks.remove(request["name"])
        return reply.empty(204)

    async def prune(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /networks/prune."""
        return reply.json({"NetworksDeleted": await self._networks.prune(query.filters(request)) or None})

    async def connect(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /networks/{name}/connect."""
        body = await read_json(request, ConnectRequest, required=False)
        await self._connector.connect(request["name"], body.container, body.endpoint_config)
        return reply.empty(200)

    async def disconnect(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /networks/{name}/disconnect."""
        body = await read_json(request, DisconnectRequest, required=False)
        await self._connector.disconnect(request["name"], body.container, force=body.force)
        return reply.empty(200)
