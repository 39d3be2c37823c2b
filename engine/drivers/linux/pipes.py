"""Pipes between the event loop and workers: large, and never blocking our side."""

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
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
            await ready(fd, write=False)
            continue
        if not data:
            return
        yield data


class Output:
    """What is written into a pipe: read from `fd` or as `pieces`, to its end; then `ended` raises what went wrong."""

    def __init__(self, fd: int, work: asyncio.Future[object]) -> None:
        self.fd = fd
        self._work = work

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield what comes. Raises OSError."""
        return pieces(self.fd)

    async def ended(self) -> None:
        """Raise the errors of who writes."""
        await self._work


@contextlib.asynccontextmanager
async def writing(work: Callable[[int], Coroutine[Any, Any, object]]) -> AsyncIterator[Output]:
    """Give what `work` writes to the descriptor that it is given. At the end of the block it ends."""
    with Pipe() as pipe:
        os.set_blocking(pipe.reader, False)
        task: asyncio.Future[object] = asyncio.ensure_future(work(pipe.writer))
        task.add_done_callback(lambda _: pipe.close_writer())
        try:
            yield Output(pipe.reader, task)
        finally:
            task.cancel()
            await asyncio.wait((task,))


async def output_of(work: Callable[[int], Coroutine[Any, Any, object]]) -> AsyncGenerator[bytes, None]:
    """Yield what `work` writes to the descriptor that it is given, then raise its errors. Closed early, it ends."""
    async with writing(work) as output:
        async for piece in output.pieces():
            yield piece
        await output.ended()


async def feed(fd: int, chunks: AsyncIterator[bytes]) -> bool:
    """Write all chunks into a pipe; False where its reader went before the end."""
    os.set_blocking(fd, False)
    async for chunk in chunks:
        left = memoryview(chunk)
        while left:
            try:
                left = left[os.write(fd, left) :]
            except BlockingIOError:
                await ready(fd, write=True)
            except BrokenPipeError:
                return False
    return True


def unread(fd: int) -> int:
    """Return how many bytes of a pipe wait to be read. Raises OSError."""
    count: int = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]
    return count


async def ready(fd: int, *, write: bool) -> None:
    """Wait until a non-blocking descriptor can be read, or written; also where that will only tell of its end."""
    loop = asyncio.get_running_loop()
    settled: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    add(fd, _settle, settled)
    try:
        await settled
    finally:
        remove(fd)


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
