"""Pipes between the event loop and workers: large, and never blocking our side."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any

_SIZE = 1 << 20
_READ = 1 << 20


class Pipe:
    """A pipe; each end is closed once, at the end of a block at the latest."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # The limit of /proc/sys/fs/pipe-max-size.
            fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, _SIZE)

    def __enter__(self) -> "Pipe":
        return self

    def __exit__(self, *_: object) -> None:
        self.close_reader()
        self.close_writer()

    def close_reader(self) -> None:
        """Close the end that is read, where it is open."""
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1

    def close_writer(self) -> None:
        """Close the end that is written, where it is open."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1


async def pieces(fd: int) -> AsyncGenerator[bytes, None]:
    """Yield what comes through a pipe until its end. Raises OSError."""
    os.set_blocking(fd, False)
    while True:
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            await _ready(fd, write=False)
            continue
        if not data:
            return
        yield data


async def output_of(work: Callable[[int], Coroutine[Any, Any, object]]) -> AsyncGenerator[bytes, None]:
    """Yield what `work` writes to the descriptor that it is given, then raise its errors. Closed early, it ends."""
    with Pipe() as pipe:
        task = asyncio.ensure_future(work(pipe.writer))
        task.add_done_callback(lambda _: pipe.close_writer())
        try:
            async for piece in pieces(pipe.reader):
                yield piece
            await task
        finally:
            task.cancel()
            await asyncio.wait((task,))


async def feed(fd: int, chunks: AsyncIterator[bytes]) -> bool:
    """Write all chunks into a pipe; False where its reader went before the end."""
    os.set_blocking(fd, False)
    async for chunk in chunks:
        left = memoryview(chunk)
        while left:
            try:
                left = left[os.write(fd, left) :]
            except BlockingIOError:
                await _ready(fd, write=True)
            except BrokenPipeError:
                return False
    return True


async def _ready(fd: int, *, write: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    add(fd, _settle, ready)
    try:
        await ready
    finally:
        remove(fd)


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
