"""Asks other name servers: each question from a port of its own under a random number."""

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence

from engine.drivers.dns.messages import REFUSED, SERVFAIL, Query, answers, code_of, with_id

_PORT = 53
_PATIENCE = 4.0  # seconds for all servers together: resolvers in C libraries wait five
_SHORTEST = 1.0
_OUTSTANDING = 4096

Opener = Callable[[Callable[[], socket.socket]], Awaitable[socket.socket]]


async def on_host(make: Callable[[], socket.socket]) -> socket.socket:
    """Open a socket in the host's own namespace."""
    return make()


class Forwarder:
    """Passes questions on, at most `_OUTSTANDING` at a time; the others wait their turn."""

    def __init__(self, port: int = _PORT) -> None:
        self._port = port
        self._turns = asyncio.Semaphore(_OUTSTANDING)

    async def ask(
        self, wire: bytes, query: Query, servers: Sequence[str], opener: Opener = on_host, *, tcp: bool
    ) -> bytes | None:
        """Return the first answer that is neither a failure nor a refusal, None where there is none.

        `opener` opens the sockets in the network namespace from which the servers are to be asked.
        """
        patience = max(_PATIENCE / max(len(servers), 1), _SHORTEST)
        async with self._turns:
            for server in servers:
                number = secrets.randbits(16)
                exchange = self._over_tcp if tcp else self._over_udp
                try:
                    async with asyncio.timeout(patience):
                        reply = await exchange(with_id(wire, number), query, server, opener)
                except (OSError, TimeoutError, asyncio.IncompleteReadError):
                    continue
                if answers(reply, query, number) and code_of(reply) not in (SERVFAIL, REFUSED):
                    return with_id(reply, query.id)
        return None

    async def _over_udp(self, question: bytes, query: Query, server: str, opener: Opener) -> bytes:
        loop = asyncio.get_running_loop()
        protocol = _Exchange(loop, query, int.from_bytes(question[:2], "big"))
        sock = await opener(lambda: _connected(server, self._port))
        transport, _ = await loop.create_datagram_endpoint(lambda: protocol, sock=sock)
        try:
            transport.sendto(question)
            return await protocol.reply
        finally:
            transport.close()

    async def _over_tcp(self, question: bytes, query: Query, server: str, opener: Opener) -> bytes:
        del query
        sock = await opener(lambda: _socket(server, socket.SOCK_STREAM))
        try:
            await asyncio.get_running_loop().sock_connect(sock, (server, self._port))
            reader, writer = await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise
        try:
            writer.write(len(question).to_bytes(2, "big") + question)
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        finally:
            writer.close()


def _socket(server: str, kind: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    return socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)


def _connected(server: str, port: int) -> socket.socket:
    """Return a datagram socket for one server. Raises OSError where there is no way to it."""
    sock = _socket(server, socket.SOCK_DGRAM)
    try:
        sock.connect((server, port))
    except OSError:
        sock.close()
        raise
    return sock


class _Exchange(asyncio.DatagramProtocol):
    """Waits for the answer to one question; anything else that arrives is ignored."""

    def __init__(self, loop: asyncio.AbstractEventLoop, query: Query, number: int) -> None:
        self.reply: asyncio.Future[bytes] = loop.create_future()
        self._query = query
        self._number = number

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.reply.done() and answers(data, self._query, self._number):
            self.reply.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(exc)
            self.reply.exception()
