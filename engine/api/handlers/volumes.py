"""Volumes: list, inspect, create, remove, prune."""

from aiohttp import web

from engine.api.handlers.swarm import NotASwarmManager
from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import query
from engine.api.wire.body import read_json
from engine.api.wire.volumes import VolumeCreate, encode_volume
from engine.core.errors import InvalidParameter, Unavailable
from engine.core.filters import Filters
from engine.domain.volumes.volumes import Volumes

# Before, a prune took named volumes as well (API changes of 1.42).
_ONLY_ANONYMOUS_SINCE = (1, 42)


class SwarmUnavailableForVolume(Unavailable):
    """Only cluster volumes can be changed."""

    def __init__(self) -> None:
        super().__init__("volume update only valid for cluster volumes, but swarm is unavailable")


class VolumeHandlers:
    """The routes below /volumes."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/volumes", self.list),
            Route("GET", "/volumes/{name:.*}", self.inspect),
            Route("POST", "/volumes/create", self.create, finishes=True),
            Route("POST", "/volumes/prune", self.prune, finishes=True),
            Route("PUT", "/volumes/{name:.*}", self.update),
            Route("DELETE", "/volumes/{name:.*}", self.remove, finishes=True),
        ]

    async def list(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /volumes."""
        found = await self._volumes.select(_list_filters(request))
        return reply.json({"Volumes": [encode_volume(v) for v in found.volumes], "Warnings": found.warnings or None})

    async def inspect(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /volumes/{name}."""
        return reply.json(encode_volume(await self._volumes.get(request["name"])))

    async def create(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /volumes/create."""
        body = await read_json(request, VolumeCreate, required=False)
        if body.cluster_volume_spec is not None:
            raise NotASwarmManager
        return reply.json(encode_volume(await self._volumes.create(body.request())), 201)

    async def prune(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /volumes/prune."""
        everything = request["api_version"] < _ONLY_ANONYMOUS_SINCE
        pruned = await self._volumes.prune(query.filters(request), everything=everything)
        return reply.json({"VolumesDeleted": pruned.names, "SpaceReclaimed": pruned.reclaimed})

    async def update(self, request: web.BaseRequest) -> web.StreamResponse:
        """PUT /volumes/{name}: for cluster volumes, which need a swarm."""
        raise SwarmUnavailableForVolume

    async def remove(self, request: web.BaseRequest) -> web.StreamResponse:
        """DELETE /volumes/{name}."""
        await self._volumes.remove(request["name"], force=query.boolean(request, "force"))
        return reply.empty(204)


def _list_filters(request: web.BaseRequest) -> Filters:
    try:
        return query.filters(request)
    except query.MalformedFilters as error:
        raise InvalidParameter(f"error reading volume filters: {error}") from error
