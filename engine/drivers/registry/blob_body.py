"""A blob's file as the body of a request: through plain connections by `sendfile`, through TLS piece by piece.

The kernel's way costs a fraction of the time: registries on the same machine or a fast network take a push as fast as
they can hash it.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from engine.drivers.linux.pipes import ready

T = TypeVar("T")
Advance = Callable[[int], None]
"""Told how many bytes have been sent so far."""
_PIECE = 1 << 20
_AT_ONCE = 8 << 20
_PATIENCE = 90.0
"""Seconds without a byte taken, after which a registry counts as gone."""


class BlobBody(aiohttp.Payload):
    """Gives a file's bytes to a connection, and can be written again. `size` in bytes, as the descriptor says."""

    def __init__(self, path: Path, size: int, advance: Advance) -> None:
        super().__init__(path)
        self._path = path
        self._size: int = size
        self._advance = advance

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """A blob is no text; aiohttp asks for it in tracebacks only."""
        return str(self._path)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the whole file. Raises OSError, TimeoutError."""
        with await asyncio.to_thread(self._path.open, "rb", 0) as file:
            if (transport := _plain(writer)) is None:
                await self._copy(writer, file.fileno())
            else:
                await _drained(writer, transport)
                await self._send(transport.get_extra_info("socket"), file.fileno())

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Send the whole file, which is as long as the request says."""
        await self.write(writer)

    async def _copy(self, writer: AbstractStreamWriter, fd: int) -> None:
        sent = 0
        while piece := await _to_its_end(os.pread, fd, _PIECE, sent):
            await asyncio.wait_for(writer.write(piece), _PATIENCE)
            sent += len(piece)
            self._advance(sent)

    async def _send(self, connection: socket.socket, fd: int) -> None:
        """Reading the file may wait for the disk, so it is done in threads; waiting for the registry is not."""
        # A descriptor of our own: the transport may close its own one at any time, and it would be another file's then.
        out = os.dup(connection.fileno())
        try:
            sent = 0
            while sent < self._size:
                count = await _to_its_end(_sendfile, out, fd, sent, self._size - sent)
                if count < 0:
                    await asyncio.wait_for(ready(out, write=True), _PATIENCE)
                elif count == 0:
                    raise OSError(f"{self._path} has become shorter")
                else:
                    sent += count
                    self._advance(sent)
        finally:
            os.close(out)


def _plain(writer: AbstractStreamWriter) -> asyncio.Transport | None:
    """Return the transport of a connection whose bytes go out as they are. uvloop's are no `asyncio.Transport`."""
    transport: asyncio.Transport | None = getattr(writer, "transport", None)
    if transport is None or transport.get_extra_info("ssl_object") is not None:
        return None
    return transport if transport.get_extra_info("socket") is not None else None


async def _drained(writer: AbstractStreamWriter, transport: asyncio.Transport) -> None:
    """Send the headers, and wait until nothing of them is left with us."""
    transport.set_write_buffer_limits(0)
    writer.send_headers()
    await writer.drain()
    transport.set_write_buffer_limits()


def _sendfile(out: int, fd: int, offset: int, count: int) -> int:
    """Send what the connection takes at once; -1 where it takes nothing. Blocks on the disk; call in a thread."""
    try:
        return os.sendfile(out, fd, offset, min(count, _AT_ONCE))
    except BlockingIOError:
        return -1


async def _to_its_end(function: Callable[..., T], *arguments: object) -> T:
    """Call in a thread; cancelled, wait for its end nevertheless: its descriptors are closed next."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
