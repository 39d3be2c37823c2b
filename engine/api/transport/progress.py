"""Progress as a stream of JSON lines (pull, push, load, import, build).

An error before the first line is an error status; after it, it goes into the stream, since the status is out by then.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from engine.api.transport.reply import encode_json
from engine.api.transport.stream import ByteStream
from engine.core.errors import WharfError


class ProgressStream:
    """Lines of JSON that end in CR LF, as Docker's jsonmessage readers expect them."""

    def __init__(self, request: web.BaseRequest, headers: dict[str, str] | None = None) -> None:
        self._stream = ByteStream(request, "application/json", headers)

    @property
    def begun(self) -> bool:
        """Whether a line is out."""
        return self._stream.begun

    async def begin(self) -> None:
        """Send the headers now."""
        await self._stream.begin()

    async def send(self, line: Mapping[str, Any]) -> None:
        """Send a line, the headers first where they are not out. Raises ConnectionError when the client is gone."""
        await self._stream.write(encode_json(line)[:-1] + b"\r\n")

    async def fail(self, error: Exception, code: int = 0) -> None:
        """Send an error into the stream, or raise it where nothing is out yet."""
        if not self.begun:
            raise error
        detail = {"code": code, "message": str(error)} if code else {"message": str(error)}
        await self.send({"errorDetail": detail, "error": str(error)})

    async def finish(self) -> web.StreamResponse:
        """Send the end; return what the handler returns."""
        return await self._stream.finish()


async def answer(request: web.BaseRequest, lines: AsyncIterator[Mapping[str, Any]]) -> web.StreamResponse:
    """Send all lines; an error of the daemon's goes where it belongs. The iterator's own clean-up is its caller's."""
    stream = ProgressStream(request)
    try:
        async for line in lines:
            await stream.send(line)
    except WharfError as error:
        await stream.fail(error)
    return await stream.finish()
