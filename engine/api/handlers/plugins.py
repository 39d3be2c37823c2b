"""Installed plugins: list, inspect, privileges, pull, create, push, set, enable, disable, upgrade, remove."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from engine.api.handlers.images import streaming
from engine.api.routing import Route
from engine.api.transport import incoming, reply
from engine.api.wire import auth, query
from engine.api.wire.body import read_body
from engine.api.wire.plugins import decode_assignments, decode_privileges, encode_plugin, encode_privilege
from engine.core import references
from engine.core.errors import Internal, InvalidParameter
from engine.core.model.plugin import Privilege
from engine.domain.plugins.install import PluginInstaller, PullRequest
from engine.domain.plugins.lifecycle import PluginLifecycle
from engine.domain.plugins.push import PluginPusher
from engine.domain.plugins.table import PluginTable


@dataclass(frozen=True, slots=True)
class PluginParts:
    """What the routes need."""

    table: PluginTable
    lifecycle: PluginLifecycle
    installer: PluginInstaller
    pusher: PluginPusher


class InvalidRemote(Internal):
    """What is to be installed is no reference; dockerd answers 500."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class PluginHandlers:
    """The routes below /plugins."""

    def __init__(self, parts: PluginParts) -> None:
        self._parts = parts

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/plugins", self.list),
            Route("GET", "/plugins/privileges", self.privileges),
            Route("GET", "/plugins/{name:.*}/json", self.inspect),
            Route("POST", "/plugins/pull", self.pull),
            Route("POST", "/plugins/create", self.create, finishes=True),
            Route("POST", "/plugins/{name:.*}/enable", self.enable, finishes=True),
            Route("POST", "/plugins/{name:.*}/disable", self.disable, finishes=True),
            Route("POST", "/plugins/{name:.*}/push", self.push),
            Route("POST", "/plugins/{name:.*}/upgrade", self.upgrade),
            Route("POST", "/plugins/{name:.*}/set", self.set, finishes=True),
            Route("DELETE", "/plugins/{name:.*}", self.remove, finishes=True),
        ]

    async def list(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /plugins."""
        return reply.json([encode_plugin(p) for p in self._parts.table.select(query.filters(request))])

    async def inspect(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /plugins/{name}/json."""
        return reply.json(encode_plugin(self._parts.table.get(request["name"])))

    async def privileges(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /plugins/privileges."""
        wanted = await self._parts.installer.privileges(_pull_request(request))
        return reply.json([encode_privilege(privilege) for privilege in wanted])

    async def pull(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /plugins/pull."""
        agreed = decode_privileges(await read_body(request, required=False))
        wanted = _pull_request(request, agreed)
        headers = {"Docker-Plugin-Name": wanted.local_name}
        return await streaming.answer(request, lambda sink: self._parts.installer.pull(wanted, sink), headers=headers)

    async def upgrade(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /plugins/{name}/upgrade."""
        agreed = decode_privileges(await read_body(request, required=False))
        wanted = _pull_request(request, agreed)
        self._parts.table.get(request["name"])
        return await streaming.answer(
            request, lambda sink: self._parts.installer.upgrade(request["name"], wanted, sink)
        )

    async def create(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /plugins/create."""
        await self._parts.installer.create(query.text(request, "name"), incoming.pieces(request))
        return reply.empty(204)

    async def push(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /plugins/{name}/push."""
        credentials = auth.credentials(request)
        return await streaming.answer(request, lambda sink: self._parts.pusher.push(request["name"], credentials, sink))

    async def set(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /plugins/{name}/set."""
        await self._parts.table.set(request["name"], decode_assignments(await read_body(request)))
        return reply.empty(204)

    async def enable(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /plugins/{name}/enable."""
        timeout = query.required_number(request, "timeout")
        await self._parts.lifecycle.enable(request["name"], timeout)
        return reply.empty(200)

    async def disable(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /plugins/{name}/disable."""
        await self._parts.lifecycle.disable(request["name"], force=query.boolean(request, "force"))
        return reply.empty(200)

    async def remove(self, request: web.BaseRequest) -> web.StreamResponse:
        """DELETE /plugins/{name}."""
        await self._parts.lifecycle.remove(request["name"], force=query.boolean(request, "force"))
        return reply.empty(200)


def _pull_request(request: web.BaseRequest, agreed: Sequence[Privilege] = ()) -> PullRequest:
    remote = query.text(request, "remote")
    try:
        reference = references.parse(remote)
    except InvalidParameter as error:
        raise InvalidRemote(str(error)) from error
    return PullRequest(reference, query.text(request, "name"), agreed, auth.credentials(request))
