"""List, inspect, history: what images are. From memory; takes no lock."""

from typing import Any

import msgspec
from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import query
from engine.api.wire.images import encode_history, encode_inspect, encode_summary
from engine.core.errors import InvalidParameter
from engine.core.model.image import Platform
from engine.domain.images.history import History
from engine.domain.images.inspect import Inspector
from engine.domain.images.platforms import format_platform, parse_platform
from engine.domain.images.selection import Lister, Listing, Summary


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
        listing = Listing(query.filters(request), shared_size=shared)
        wanted = query.boolean(request, "manifests")

        def encoded(summary: Summary) -> dict[str, Any]:
            manifests = self._inspector.manifests(summary.stored) if wanted else None
            return encode_summary(summary, version, manifests)

        return reply.json([encoded(s) for s in self._lister.list(listing)])

    async def inspect(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /images/{name}/json."""
        version = request["api_version"]
        found = self._inspector.inspect(request["name"], platform(request) if version >= (1, 49) else None)
        wanted = query.boolean(request, "manifests")
        manifests = self._inspector.manifests(found.stored) if wanted else None
        return reply.json(encode_inspect(found, version, manifests))

    async def history(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /images/{name}/history."""
        wanted = platform(request) if request["api_version"] >= (1, 48) else None
        steps = self._history.of(request["name"], format_platform(wanted) if wanted else "")
        return reply.json(encode_history(steps))


def platform(request: web.BaseRequest, name: str = "platform") -> Platform | None:
    """Return a platform parameter that is JSON (API 1.48); None where it is absent. Raises InvalidParameter."""
    text = query.text(request, name)
    if not text:
        return None
    try:
        found = msgspec.json.decode(text.encode(), type=dict[str, Any])
        parts = [found.get(key) or "" for key in ("os", "architecture", "variant")]
        return parse_platform("/".join(p for p in parts if p))
    except (msgspec.DecodeError, TypeError, UnicodeEncodeError) as error:
        raise InvalidParameter(f"invalid platform: {text}") from error
