"""Update: other limits for a container."""

import msgspec
from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire.body import read_json
from engine.core.model.container import HostConfig
from engine.domain.containers.update import Updater


class UpdateHandlers:
    """The route of `docker update`."""

    def __init__(self, updater: Updater) -> None:
        self._updater = updater

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("POST", "/containers/{name:.*}/update", self.update, finishes=True)]

    async def update(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/update."""
        wanted = await read_json(request, HostConfig, required=False)
        if request["api_version"] < (1, 40):
            wanted = msgspec.structs.replace(wanted, pids_limit=None)
        if request["api_version"] >= (1, 42):
            wanted = msgspec.structs.replace(wanted, kernel_memory=0)
        return reply.json({"Warnings": await self._updater.update(request["name"], wanted) or None})
