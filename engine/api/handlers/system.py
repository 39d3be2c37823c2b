"""The daemon itself: ping, version, info, disk usage."""

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.transport.headers import ping_headers
from engine.api.wire import query
from engine.api.wire.containers import ImageNames
from engine.api.wire.system import encode_disk_usage, encode_info, encode_version
from engine.domain.system.disk_usage import DiskUsageMeter, parse_kinds
from engine.domain.system.info import System

_KINDS_SINCE = (1, 42)


class SystemHandlers:
    """The routes /_ping, /version, /info and /system/df. `builder`: 2 says that BuildKit's API is served."""

    def __init__(self, system: System, meter: DiskUsageMeter, names: ImageNames, builder: str = "2") -> None:
        self._system = system
        self._meter = meter
        self._names = names
        self._ping_headers = ping_headers(builder)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/_ping", self.ping),
            Route("HEAD", "/_ping", self.ping),
            Route("GET", "/version", self.version),
            Route("GET", "/info", self.info),
            Route("GET", "/system/df", self.disk_usage),
        ]

    async def ping(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET and HEAD /_ping; most are answered by `transport/instant.py`."""
        if request.method == "HEAD":
            return web.Response(headers={**self._ping_headers, "Content-Length": "0"})
        return web.Response(body=b"OK", headers=self._ping_headers)

    async def version(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /version."""
        return reply.json(encode_version(await self._system.version()))

    async def info(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /info."""
        return reply.json(encode_info(await self._system.info(), request["api_version"]))

    async def disk_usage(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /system/df."""
        version = request["api_version"]
        kinds = parse_kinds(query.texts(request, "type") if version >= _KINDS_SINCE else [])
        return reply.json(encode_disk_usage(await self._meter.measure(kinds), version, self._names))
