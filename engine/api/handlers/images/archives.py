"""Load, save: image archives in the request's and the answer's body."""

from aiohttp import web

from engine.api.handlers.images import streaming
from engine.api.routing import Route
from engine.api.transport import incoming
from engine.api.transport.stream import ByteStream
from engine.api.wire import platforms, query
from engine.domain.images.garbage import Garbage
from engine.domain.images.load import Loader
from engine.domain.images.save import Saver


class ImageArchiveHandlers:
    """The routes that move whole images as archives."""

    def __init__(self, loader: Loader, saver: Saver, garbage: Garbage) -> None:
        self._loader = loader
        self._saver = saver
        self._garbage = garbage

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("POST", "/images/load", self.load),
            Route("GET", "/images/get", self.save_many),
            Route("GET", "/images/{name:.*}/get", self.save_one),
        ]

    async def load(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /images/load. The status is out before the archive is read, as with dockerd; errors are lines."""
        chunks, platform = incoming.pieces(request), platforms.one(request, (1, 48))
        return await streaming.answer(request, lambda sink: self._loader.load(chunks, sink, platform), begin=True)

    async def save_many(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /images/get?names=…"""
        names = [name for value in query.texts(request, "names") for name in value.split(",") if name]
        return await self._save(request, names)

    async def save_one(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /images/{name}/get."""
        return await self._save(request, [request["name"]])

    async def _save(self, request: web.BaseRequest, names: list[str]) -> web.StreamResponse:
        chosen = self._saver.choose(names, platforms.one(request, (1, 48)))
        stream = ByteStream(request, "application/x-tar")
        async for chunk in self._saver.save(chosen, self._garbage):
            await stream.write(chunk)
        return await stream.finish()
