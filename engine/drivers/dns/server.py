"""The server at 127.0.0.11 in one container's network namespace.

The sockets are opened by a thread that is in the namespace; from then on the event loop serves them like any others.
What to answer is the caller's business.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

ADDRESS = "127.0.0.11"
_IDLE = 10.0  # seconds that a TCP client may be silent
_PENDING = 4096  # questions of one container at a time; a process asks a few
_CLIENTS = 256  # TCP connections of one container at a time: each costs the daemon a descriptor

Answer = Callable[[bytes, bool], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True)
class DnsSockets:
    """A UDP and a TCP socket on ports of the kernel's choice: a container may run a DNS server of its own on 53."""

    udp: socket.socket
    tcp: socket.socket

    @property
    def ports(self) -> tuple[int, int]:
        """The UDP and the TCP port."""
        return self.udp.getsockname()[1], self.tcp.getsockname()[1]

    def close(self) -> None:
        """Close both."""
        self.udp.close()
        self.tcp.close()


def open_sockets() -> DnsSockets:
    """Open the sockets in the calling thread's namespace. Raises OSError."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sockets = DnsSockets(udp, tcp)
    try:
        for one in (udp, tcp):
            one.setblocking(False)
            one.bind((ADDRESS, 0))
        tcp.listen(128)
    except OSError:
        sockets.close()
        raise
    return sockets


class DnsServer:
    """Serves one container until it is closed."""

    def __init__(self, answer: Answer) -> None:
        """`answer` gets a message and whether it came over TCP; it returns the reply, or None for silence."""
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, sockets: DnsSockets) -> None:
        """Take over the sockets and answer."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=sockets.udp)
        self._listener = await asyncio.start_server(self._serve, sock=sockets.tcp)

    def received(self, wire: bytes, source: tuple[str, int]) -> None:
        """Answer a datagram."""
        if len(self._tasks) < _PENDING:
            self._spawn(self._reply(wire, source))

    async def _reply(self, wire: bytes, source: tuple[str, int]) -> None:
        reply = await self._answer(wire, False)
        if reply is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(reply, source)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a TCP client, if there are not too many."""
        self._clients += 1
        try:
            if self._clients <= _CLIENTS:
                await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return
        finally:
            self._clients -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer questions one after the other."""
        while True:
            async with asyncio.timeout(_IDLE):
                length = int.from_bytes(await reader.readexactly(2), "big")
                wire = await reader.readexactly(length)
            reply = await self._answer(wire, True)
            if reply is None:
                return
            writer.write(len(reply).to_bytes(2, "big") + reply)
            async with asyncio.timeout(_IDLE):
                await writer.drain()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Answer no more. Idempotent."""
        if self._transport is not None:
            self._transport.close()
        if self._listener is not None:
            self._listener.close()
        for task in self._tasks:
            task.cancel()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """A client that has gone: nothing to do."""
