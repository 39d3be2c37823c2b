"""The standard streams of a container or exec, over conmon's attach socket.

conmon (`conn_sock.c`) sends each piece of output as one packet: a byte that names the stream (2 stdout, 3 stderr; of a
terminal all is stdout), then at most 8 KiB. It writes to its clients one after another and waits for each, so a client
that did not read would stop the container: a console always reads, and keeps for its user in a spool what the user is
too slow for. Input goes the other way as it is; the end of it (a half-close) ends the container's input, unless conmon
was told to leave that open. Sizes of terminals go through the control FIFO next to the socket.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from engine.drivers.linux.unix_diag import is_accepted
from engine.drivers.runtime.spool import Chunk, Spool, SpoolFull
from engine.drivers.runtime.stdin_pipe import StdinPipe

log = logging.getLogger(__name__)
_STREAMS = {2: 1, 3: 2}
_BATCH = 256 << 10
_PACKET = 64 << 10
# Less than conmon's own buffer (CONN_SOCK_BUF_SIZE, 32 KiB): it would cut off the rest of a longer packet.
_INPUT = 8 << 10
# How long the container waits at most for a client that is behind but reading, before its output is spooled to disk.
_PATIENCE = 0.05
_RESIZE = 1
_MAX_SIZE = 1000
_CONNECT_PATIENCE = 10.0


class Console:
    """One connection to the streams: an async iterator of (1 or 2, bytes), complete to the last byte."""

    def __init__(self, connection: socket.socket, spool: Spool) -> None:
        self._socket = connection
        self._spool = spool
        self._loop = asyncio.get_running_loop()
        # One byte more in front, so that a packet's stream byte never overwrites what is before its data.
        self._buffer = bytearray(_BATCH + _PACKET + 1)
        self._view = memoryview(self._buffer)
        self._arrived = asyncio.Event()
        self._stdin: StdinPipe | None = None
        self._writable: asyncio.Future[None] | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._spiller: asyncio.Task[None] | None = None
        self._reading = False
        self._ended = False
        self._closed = False
        self._discarding = False
        self._resume()

    @classmethod
    async def connect(cls, path: Path, spool_directory: Path, *, accepted: bool = False) -> "Console":
        """Connect to an attach socket. A container that has just ended gives a console at its end. Raises OSError.

        `accepted`: wait until conmon knows of its client, as what a process says before that is not sent to it. The
        conmon of an exec accepts only once it is told to let the process go.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            async with asyncio.timeout(_CONNECT_PATIENCE):
                await _connect(connection, path)
                if accepted:
                    await _accepted(connection)
        except (ConnectionRefusedError, FileNotFoundError):
            return cls(_ended_socket(connection), Spool(spool_directory))
        except BaseException:
            connection.close()
            raise
        return cls(connection, Spool(spool_directory))

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        while not self._closed:
            if chunk := self._spool.take():
                if self._waiting and self._spool.drained:
                    self._resume()
                return chunk
            if not self._spool.empty:
                await self._spool.fetch()
            elif self._ended:
                break
            else:
                self._arrived.clear()
                await self._arrived.wait()
        raise StopAsyncIteration

    def _resume(self) -> None:
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None
        if not (self._reading or self._ended or self._closed):
            self._reading = True
            self._loop.add_reader(self._socket, self._readable)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket)

    def _readable(self) -> None:
        self._receive()
        self._arrived.set()
        if self._ended and self._discarding:
            self.close()
        if not self._spool.full or self._ended:
            return
        self._pause()
        if self._spool.spilling:
            self._spill()
        else:
            self._waiting = self._loop.call_later(_PATIENCE, self._spill)

    def _receive(self) -> None:
        """Read packets, and join those of one stream, until there are no more or the buffer is full."""
        buffer, view, receive = self._buffer, self._view, self._socket.recv_into
        end, current = 1, 0
        while end <= _BATCH:
            before = buffer[end - 1]
            try:
                size = receive(view[end - 1 :])
            except BlockingIOError:
                break
            except ConnectionResetError:
                # conmon ended with input unread; what it had sent is still there to be read.
                continue
            except OSError as error:
                log.warning("a container's output ended early: %s", error)
                size = 0
            if size == 0:
                self._end()
                break
            stream, buffer[end - 1] = buffer[end - 1], before
            if stream != current and end > 1:
                self._deliver(current, end)
                # The packet lies behind what was just delivered: to the front with it.
                view[1:size] = view[end : end + size - 1]
                end = 1
            current = stream
            end += size - 1
        self._deliver(current, end)

    def _deliver(self, stream: int, end: int) -> None:
        if end > 1 and not self._discarding and stream in _STREAMS:
            self._spool.put((_STREAMS[stream], bytes(self._view[1:end])))

    def _end(self) -> None:
        self._pause()
        self._ended = True
        self._arrived.set()
        self._wake_writer()

    def _spill(self) -> None:
        """The user does not keep up: let the container go on, and keep its output on disk."""
        self._waiting = None
        if not self._closed:
            self._spiller = self._loop.create_task(self._spill_and_resume())

    async def _spill_and_resume(self) -> None:
        try:
            await self._spool.spill()
        except (SpoolFull, OSError) as error:
            log.warning("a client is too far behind a container's output and is let go: %s", error or "spool full")
            self._end()
            self._socket.close()
            return
        self._resume()

    async def write_stdin(self, data: bytes) -> None:
        """Send input; waits while the container does not read. Raises ConnectionError when nobody can read it."""
        if self._closed or self._ended:
            raise BrokenPipeError("the container's streams have ended")
        if self._stdin is None:
            self._stdin = StdinPipe(self._socket)
        if not self._stdin.has_reader():
            raise BrokenPipeError("the container has closed its standard input")
        view = memoryview(data)
        for start in range(0, len(view), _INPUT):
            await self._send(view[start : start + _INPUT])

    async def _send(self, packet: memoryview) -> None:
        while not (self._closed or self._ended):
            try:
                self._socket.send(packet)
            except BlockingIOError:
                await self._until_writable()
            else:
                return
        raise BrokenPipeError("the container's streams have ended")

    async def _until_writable(self) -> None:
        self._writable = self._loop.create_future()
        self._loop.add_writer(self._socket, self._wake_writer)
        try:
            await self._writable
        finally:
            self._writable = None
            if not self._closed:
                self._loop.remove_writer(self._socket)

    def _wake_writer(self) -> None:
        if self._writable and not self._writable.done():
            self._writable.set_result(None)

    def close_stdin(self) -> None:
        """Tell that no more input comes; output goes on."""
        if not self._closed:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def linger(self) -> None:
        """Stop serving the user, but keep the connection until the container ends.

        For one who brought no input: to conmon the end of any connection is the end of the container's input.
        """
        self._discarding = True
        self._spool.close()
        if self._ended:
            self.close()
        else:
            self._resume()

    def close(self) -> None:
        """Disconnect; the iterator ends. A lingering console disconnects when the container has ended."""
        if self._closed or (self._discarding and not self._ended):
            return
        self._pause()
        self._closed = True
        if self._waiting:
            self._waiting.cancel()
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._arrived.set()
        self._wake_writer()
        self._spool.close()


async def resize(ctl_path: Path, height: int, width: int) -> None:
    """Set the size in characters of the terminal behind a control FIFO; nothing happens where its monitor is gone."""
    try:
        fd = os.open(ctl_path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        line = f"{_RESIZE} {min(height, _MAX_SIZE)} {min(width, _MAX_SIZE)}\n"
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(fd, line.encode())
    finally:
        os.close(fd)


def connect_socket(connection: socket.socket, path: Path) -> None:
    """Connect to a socket whose path may be longer than an address holds (108 bytes, unix(7)). Raises OSError."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


async def _connect(connection: socket.socket, path: Path) -> None:
    delay = 0.001
    while True:
        try:
            connect_socket(connection, path)
        except BlockingIOError:
            # conmon's backlog of ten is full; nothing tells when that changes (connect(2), EAGAIN).
            await asyncio.sleep(delay)
            delay = min(delay * 2, 0.1)
        else:
            return


async def _accepted(connection: socket.socket) -> None:
    delay = 0.0002
    while not is_accepted(connection):
        await asyncio.sleep(delay)
        delay = min(delay * 2, 0.01)


def _ended_socket(unused: socket.socket) -> socket.socket:
    unused.close()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    ours.setblocking(False)
    return ours
