"""List, inspect, history: what images are. From memory; takes no lock."""

from typing import Any

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import platforms, query
from engine.api.wire.images import encode_history, encode_inspect, encode_summary
from engine.core.errors import InvalidParameter
from engine.domain.images.history import History
from engine.domain.images.inspect import Inspector
from engine.domain.images.platforms import format_platform
from engine.domain.images.selection import Lister, Listing, Summary


class ConflictingOptions(InvalidParameter):
    """One platform is asked for, and all."""

    def __init__(self) -> None:
        super().__init__("conflicting options: manifests and platform options cannot both be set")


class ImageInspectHandlers:
    """The routes that only look."""

    def __init__(self, lister: Lister, inspector: Inspector, history: History) -> None:
        self._lister = lister
        self._inspector = inspector
        self._history = history

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/images/json", self.list),
            Route("GET", "/images/{name:.*}/json", self.inspect),
            Route("GET", "/images/{name:.*}/history", self.history),
        ]

    async def list(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /images/json."""
        version = request["api_version"]
        shared = version >= (1, 42) and query.boolean(request, "shared-size")
        listing = Listing(query.filters(request), shared_size=shared, all=query.boolean(request, "all"))
        wanted = query.boolean(request, "manifests")

        def encoded(summary: Summary) -> dict[str, Any]:
            manifests = self._inspector.manifests(summary.stored) if wanted else None
            return encode_summary(summary, version, manifests)

        return reply.json([encoded(s) for s in self._lister.list(listing)])

    async def inspect(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /images/{name}/json."""
        version = request["api_version"]
        platform, wanted = platforms.one(request, (1, 49)), query.boolean(request, "manifests")
        if platform is not None and wanted:
            raise ConflictingOptions
        found = self._inspector.inspect(request["name"], platform)
        manifests = self._inspector.manifests(found.stored) if wanted else None
        return reply.json(encode_inspect(found, version, manifests))

    async def history(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /images/{name}/history."""
        wanted = platforms.one(request, (1, 48))
        steps = self._history.of(request["name"], format_platform(wanted) if wanted else "")
        return reply.json(encode_history(steps))
