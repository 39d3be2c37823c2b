"""Hijacked connections: attach and exec turn an HTTP request into a raw two-way stream.

With an `Upgrade` header the answer is 101, without it the old bare 200. A half-close of the client ends its input and
nothing else. The connection ends when the handler closes it.
"""

import asyncio
import contextlib
from collections import deque

from aiohttp import web

from engine.api.transport.connection import Connection, Taken

RAW_STREAM = "application/vnd.docker.raw-stream"
_HIGH_WATER = 256 << 10
_LINGER = 2.0


class HijackedResponse(web.StreamResponse):
    """What a handler returns when the connection has been taken: there is nothing left to send."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self._keep_alive = False

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Send nothing."""


class HijackedConnection(asyncio.Protocol):
    """The raw stream. `closed` is set when the connection is lost; `response` is what the handler returns."""

    def __init__(self, taken: Taken) -> None:
        self.closed = asyncio.Event()
        self.response = HijackedResponse()
        self._transport = taken.transport
        self._hangups = taken.hangups
        self._received = deque([taken.early] if taken.early else [])
        self._size = len(taken.early)
        self._ended = taken.half_closed
        self._discarding = False
        self._reader: asyncio.Event = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._fd = -1
        if self._ended:
            self._watch()

    # What asyncio tells.

    def data_received(self, data: bytes) -> None:
        """Keep input until it is read; stop the client when it is too much."""
        if self._discarding:
            return
        self._received.append(data)
        self._size += len(data)
        self._reader.set()
        if self._size > _HIGH_WATER:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client's input has ended; its output goes on."""
        self._ended = True
        self._reader.set()
        self._watch()
        return True

    def _watch(self) -> None:
        socket = self._transport.get_extra_info("socket")
        if socket is not None and not self.closed.is_set():
            self._fd = socket.fileno()
            self._hangups.add(self._fd, self._abort)

    def _abort(self) -> None:
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing can be sent or received any more."""
        if self._fd >= 0:
            self._hangups.discard(self._fd, self._abort)
        self.closed.set()
        self._reader.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable.set()

    # What handlers use.

    @property
    def transport(self) -> asyncio.Transport:
        """The transport below, for protocols that speak on it themselves (h2c)."""
        return self._transport

    def write(self, data: bytes) -> None:
        """Send bytes; follow with `drain`. Nothing happens when the client is gone."""
        if not self.closed.is_set():
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the client does not keep up. Raises ConnectionResetError when it is gone."""
        if not self._writable.is_set():
            await self._writable.wait()
        if self.closed.is_set():
            raise ConnectionResetError("the client is gone")

    async def read(self) -> bytes:
        """Return what came; nothing at the end of the client's input. Raises ConnectionResetError when it is gone."""
        while not self._received:
            if self._ended:
                return b""
            if self.closed.is_set():
                raise ConnectionResetError("the client is gone")
            self._reader.clear()
            await self._reader.wait()
        data = b"".join(self._received)
        self._received.clear()
        if self._size > _HIGH_WATER and not self.closed.is_set():
            self._transport.resume_reading()
        self._size = 0
        return data

    async def close(self) -> None:
        """Send what is written and end the connection.

        Closing a socket with unread input makes the kernel reset it, and the client would lose the last output. So our
        side ends first, and input is dropped for a moment until the client ends too.
        """
        if not self.closed.is_set() and not self._ended and self._transport.can_write_eof():
            self._discarding = True
            if self._size > _HIGH_WATER:
                self._transport.resume_reading()
            self._transport.write_eof()
            await self._client_ends()
        self._transport.close()
        await self.closed.wait()

    async def _client_ends(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while not self._ended and not self.closed.is_set():
                    self._reader.clear()
                    await self._reader.wait()


async def hijack(request: web.BaseRequest, content_type: str) -> HijackedConnection:
    """Take the request's connection and send the head of the stream.

    `content_type` is told in the 101 form only; the old form always says raw-stream. Raises ConnectionResetError when
    the client is gone.
    """
    if "Upgrade" in request.headers:
        head = f"101 UPGRADED\r\nContent-Type: {content_type}\r\nConnection: Upgrade\r\nUpgrade: tcp"
    else:
        head = f"200 OK\r\nContent-Type: {RAW_STREAM}"
    return await take_over(request, head)


async def take_over(request: web.BaseRequest, head: str) -> HijackedConnection:
    """Take the request's connection and answer with a status line and headers (lines parted by CR LF)."""
    connection = HijackedConnection(await take(request))
    connection.transport.set_protocol(connection)
    connection.write(f"HTTP/1.1 {head}\r\n\r\n".encode("latin-1"))
    return connection


async def take(request: web.BaseRequest) -> Taken:
    """Take the request's connection; nothing is answered yet. Raises ConnectionResetError when the client is gone."""
    if not request.content.is_eof() and request.content_length:
        while await request.content.readany():
            pass
    protocol = request.protocol
    if not isinstance(protocol, Connection):
        raise TypeError("this server's connections cannot be taken")
    taken = protocol.take()
    request.content.feed_eof()
    return taken
