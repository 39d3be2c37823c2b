"""A pipe's content to a socket as HTTP chunks (RFC 9112, section 7.1), by moving pages: splice(2).

What a worker wrote with sendfile is never copied on its way to the client. Owns neither descriptor.
"""

import asyncio
import os

from engine.drivers.linux.pipes import ready, unread

_MOST = 1 << 20


async def send_chunks(pipe: int, socket: int) -> None:
    """Send all that comes through a pipe until its end, not the last chunk. Both must be non-blocking.

    Raises ConnectionError when the client is gone, OSError.
    """
    end_of_last = b""
    while size := await available(pipe):
        await _write(socket, end_of_last + b"%x\r\n" % size)
        left = size
        while left:
            try:
                left -= os.splice(pipe, socket, left, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
            except BlockingIOError:
                await ready(socket, write=True)
        end_of_last = b"\r\n"
        await asyncio.sleep(0)
    await _write(socket, end_of_last)


async def available(pipe: int) -> int:
    """Return how much a pipe holds, once it holds anything; 0 at its end."""
    if not unread(pipe):
        await ready(pipe, write=False)
    return min(unread(pipe), _MOST)


async def _write(socket: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(socket, data) :]
        except BlockingIOError:
            await ready(socket, write=True)
