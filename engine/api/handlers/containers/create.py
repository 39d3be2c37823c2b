"""POST /containers/create."""

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import query
from engine.api.wire.body import read_body
from engine.api.wire.containers import decode_create
from engine.domain.containers.create import CreateOptions, Creator


class CreateHandlers:
    """Makes containers."""

    def __init__(self, creator: Creator) -> None:
        self._creator = creator

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("POST", "/containers/create", self.create, finishes=True)]

    async def create(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/create."""
        config, host_config, networks = decode_create(await read_body(request), request["api_version"])
        options = CreateOptions(
            config, host_config, networks, query.text(request, "name"), query.text(request, "platform")
        )
        created = await self._creator.create(options)
        return reply.json({"Id": created.id, "Warnings": list(created.warnings)}, status=201)
