"""The routes of `docker cp`."""

import asyncio
import base64
import zlib
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import incoming, reply
from engine.api.transport.stream import ByteStream
from engine.api.wire import query
from engine.core import times
from engine.core.errors import InvalidParameter
from engine.domain.containers.archive import Archive, Extraction, PathStat, go_mode

_STAT = "X-Docker-Container-Path-Stat"
_TAR = "application/x-tar"


class NoPath(InvalidParameter):
    """The parameter `path` is missing; the text is dockerd's."""

    def __init__(self) -> None:
        super().__init__("bad parameter: pathcannot be empty")


class ArchiveHandlers:
    """Look, take out, put in."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("HEAD", "/containers/{name:.*}/archive", self.head),
            Route("GET", "/containers/{name:.*}/archive", self.get),
            Route("PUT", "/containers/{name:.*}/archive", self.put),
        ]

    async def head(self, request: web.BaseRequest) -> web.StreamResponse:
        """HEAD /containers/{name}/archive."""
        answer = reply.empty(200)
        answer.headers[_STAT] = _encoded(await self._archive.stat(request["name"], _path(request)))
        return answer

    async def get(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /containers/{name}/archive."""
        pack = "gzip" in request.headers.get("Accept-Encoding", "")
        async with self._archive.get(request["name"], _path(request)) as (found, archive):
            headers = {_STAT: _encoded(found), **({"Content-Encoding": "gzip"} if pack else {})}
            stream = ByteStream(request, _TAR, headers)
            if not pack:
                await stream.pass_on(archive)
                return await stream.finish()
            async for piece in _gzipped(archive.pieces()):
                await stream.write(piece)
            await archive.ended()
            return await stream.finish()

    async def put(self, request: web.BaseRequest) -> web.StreamResponse:
        """PUT /containers/{name}/archive. The content type says nothing: clients send all sorts."""
        extraction = Extraction(
            _path(request), query.boolean(request, "noOverwriteDirNonDir"), query.boolean(request, "copyUIDGID")
        )
        await self._archive.put(request["name"], extraction, incoming.Upload(request))
        return reply.empty(200)


def _path(request: web.BaseRequest) -> str:
    path = query.text(request, "path")
    if not path:
        raise NoPath
    return path


async def _gzipped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(1, wbits=31)
    async for piece in pieces:
        yield await asyncio.to_thread(packer.compress, piece)
    yield packer.flush()


def _encoded(found: PathStat) -> str:
    value = {
        "name": found.name,
        "size": found.size,
        "mode": go_mode(found.mode),
        "mtime": times.rfc3339(found.mtime),
        "linkTarget": found.target,
    }
    return base64.b64encode(msgspec.json.encode(value)).decode()
