"""Stats: what containers use, once or each second."""

import contextlib
import os

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.transport.stream import JSONAnswer
from engine.api.wire import query
from engine.api.wire.stats import encode_stats
from engine.core.errors import InvalidParameter
from engine.domain.containers.stats import StatsReader


class StreamOfOne(InvalidParameter):
    """Two parameters that exclude each other."""

    def __init__(self) -> None:
        super().__init__("cannot have stream=true and one-shot=true")


class StatsHandlers:
    """The route of `docker stats`."""

    def __init__(self, reader: StatsReader) -> None:
        self._reader = reader
        self._host_memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("GET", "/containers/{name:.*}/stats", self.stats)]

    async def stats(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /containers/{name}/stats."""
        stream = query.boolean(request, "stream", default=True)
        one_shot = query.boolean(request, "one-shot") and request["api_version"] >= (1, 41)
        if stream and one_shot:
            raise StreamOfOne
        if stream:
            return await self._follow(request)
        stats = await (self._reader.now if one_shot else self._reader.rates)(request["name"])
        return reply.json(encode_stats(stats, self._host_memory))

    async def _follow(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = JSONAnswer(request)
        async with contextlib.aclosing(self._reader.follow(request["name"])) as samples:
            async for stats in samples:
                await answer.send(encode_stats(stats, self._host_memory))
        return await answer.finish()
