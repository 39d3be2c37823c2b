"""Answers that come in pieces: logs, events, stats, archives, and the one of wait, whose headers go out first.

Headers leave with `begin`; each write waits while the client is slow; a client that is gone is a ConnectionError.
"""

from typing import Any

from aiohttp import web

from engine.api.transport.headers import COMMON
from engine.api.transport.reply import encode_json


class ByteStream:
    """A chunked answer of any content type."""

    def __init__(self, request: web.BaseRequest, content_type: str, headers: dict[str, str] | None = None) -> None:
        self._request = request
        self._response = web.StreamResponse(headers={"Content-Type": content_type, **COMMON, **(headers or {})})

    @property
    def begun(self) -> bool:
        """Whether the headers are out: from then on there is no error status any more."""
        return self._response.prepared

    async def begin(self) -> None:
        """Send the headers now. Nothing happens where they are out already."""
        self._request["begun"] = True
        await self._response.prepare(self._request)

    async def write(self, data: bytes) -> None:
        """Send a piece; waits while the client is slow. Raises ConnectionError when it is gone."""
        if not self._response.prepared:
            await self.begin()
        if data:
            await self._response.write(data)

    async def finish(self) -> web.StreamResponse:
        """Send the end; return what the handler returns."""
        await self.begin()
        await self._response.write_eof()
        return self._response


class JSONAnswer(ByteStream):
    """One JSON value whose headers go out before it is known (`POST /containers/{id}/wait`), or several in turn."""

    def __init__(self, request: web.BaseRequest) -> None:
        super().__init__(request, "application/json")

    async def send(self, value: Any) -> None:
        """Send one value and a line end."""
        await self.write(encode_json(value))

    async def finish(self, value: Any = None) -> web.StreamResponse:
        """Send the value, where one is given, and the end."""
        if value is not None:
            await self.send(value)
        return await super().finish()
