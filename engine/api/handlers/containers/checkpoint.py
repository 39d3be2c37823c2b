"""Checkpoints: make, list, remove."""

from aiohttp import web
from msgspec import Struct

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import query
from engine.api.wire.body import read_json
from engine.domain.containers.checkpoints import CheckpointRequest, Checkpoints

SEGMENT = "/checkpoints/"


class CreateCheckpoint(Struct, frozen=True, kw_only=True):
    """The body of `POST /containers/{id}/checkpoints`."""

    checkpoint_id: str = ""
    checkpoint_dir: str = ""
    exit: bool = False


class CheckpointHandlers:
    """The routes of checkpoints. `DELETE /containers/{id}/checkpoints/{name}` comes by way of a container's removal."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/containers/{name:.*}/checkpoints", self.list),
            Route("POST", "/containers/{name:.*}/checkpoints", self.create, finishes=True),
        ]

    async def list(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /containers/{name}/checkpoints."""
        names = await self._checkpoints.names(request["name"], query.text(request, "dir"))
        return reply.json([{"Name": name} for name in names])

    async def create(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/checkpoints."""
        self._checkpoints.require_experimental()
        body = await read_json(request, CreateCheckpoint, required=False)
        wanted = CheckpointRequest(body.checkpoint_id, body.checkpoint_dir, body.exit)
        await self._checkpoints.create(request["name"], wanted)
        return reply.empty(201)
