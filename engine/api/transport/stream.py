"""Answers that come in pieces: logs, events, stats, archives, and the one of wait, whose headers go out first.

Headers leave with `begin`; each write waits while the client is slow; a client that is gone is a ConnectionError.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import HttpVersion11, web

from engine.api.transport.headers import COMMON
from engine.api.transport.reply import encode_json
from engine.drivers.linux.pipes import Output
from engine.drivers.linux.splice import available, send_chunks


class ByteStream:
    """A chunked answer of any content type."""

    def __init__(self, request: web.BaseRequest, content_type: str, headers: dict[str, str] | None = None) -> None:
        self._request = request
        self._headers = {"Content-Type": content_type, **(headers or {})}
        self._response = web.StreamResponse(headers={**COMMON, **self._headers})

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

    async def pass_on(self, output: Output) -> None:
        """Send all that a worker writes; then raise its errors. Nothing is out where it fails before it writes."""
        if await available(output.fd):
            await self.begin()
            await asyncio.sleep(0)  # The transport writes at the end of the loop's turn.
            with self._socket() as socket:
                if socket < 0:
                    async for piece in output.pieces():
                        await self.write(piece)
                else:
                    await send_chunks(output.fd, socket)
        await output.ended()

    @contextmanager
    def _socket(self) -> Iterator[int]:
        """Give a descriptor that takes what follows in chunks, -1 where none does: TLS, HTTP/1.0, a slow start."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        socket = transport.get_extra_info("socket")
        plain = socket is not None and transport.get_extra_info("ssl_object") is None
        if not plain or self._request.version < HttpVersion11 or transport.get_write_buffer_size():
            yield -1
            return
        fd = os.dup(socket.fileno())  # Of its own: the loop watches the transport's already.
        try:
            yield fd
        finally:
            os.close(fd)

    async def finish(self, last: bytes = b"") -> web.StreamResponse:
        """Send the last piece and the end; return what the handler returns.

        Where that is all there is, it goes out at once: each write of its own would wake the client.
        """
        if last and not self._response.prepared:
            whole = web.Response(body=last, headers=self._headers)  # The middleware adds what is common to all.
            whole.enable_chunked_encoding()
            return whole
        await self.write(last)
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
