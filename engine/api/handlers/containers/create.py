"""POST /containers/create."""

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import query
from engine.api.wire.body import read_body
from engine.api.wire.create_request import decode_create
from engine.domain.containers.create import CreateOptions, Creator


class CreateHandlers:
    """Makes containers."""

    def __init__(self, creator: Creator) -> None:
        self._creator = creator

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("POST", "/containers/create", self.create)]

    async def create(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/create."""
        version = request["api_version"]
        wanted = decode_create(await read_body(request), version)
        options = CreateOptions(
            config=wanted.config,
            host_config=wanted.host_config,
            networks=wanted.networks,
            name=query.text(request, "name"),
            platform=query.text(request, "platform") if version >= (1, 41) else "",
            readonly_is_shallow=wanted.readonly_is_shallow,
        )
        created = await self._creator.create(options)
        return reply.json({"Id": created.id, "Warnings": [*created.warnings, *wanted.warnings]}, status=201)
