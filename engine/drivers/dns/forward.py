"""Asks other name servers, from the host's namespace: each question from a port of its own under a random number."""

import asyncio
import secrets
from collections.abc import Sequence

from engine.drivers.dns.messages import SERVFAIL, Query, answers, code_of, with_id

_PORT = 53
_PATIENCE = 4.0  # seconds for all servers together: resolvers in C libraries wait five
_SHORTEST = 1.0
_OUTSTANDING = 4096


class Forwarder:
    """Passes questions on, at most `_OUTSTANDING` at a time; the others wait their turn."""

    def __init__(self, port: int = _PORT) -> None:
        self._port = port
        self._turns = asyncio.Semaphore(_OUTSTANDING)

    async def ask(self, wire: bytes, query: Query, servers: Sequence[str], *, tcp: bool) -> bytes | None:
        """Return the first answer that is not a failure, else the last failure, None where nobody answers."""
        patience = max(_PATIENCE / max(len(servers), 1), _SHORTEST)
        failed: bytes | None = None
        async with self._turns:
            for server in servers:
                reply = await self._ask_one(wire, query, server, tcp=tcp, patience=patience)
                if reply is not None and code_of(reply) != SERVFAIL:
                    return with_id(reply, query.id)
                failed = reply or failed
        return with_id(failed, query.id) if failed else None

    async def _ask_one(self, wire: bytes, query: Query, server: str, *, tcp: bool, patience: float) -> bytes | None:
        number = secrets.randbits(16)
        question = with_id(wire, number)
        try:
            async with asyncio.timeout(patience):
                if tcp:
                    reply = await self._over_tcp(question, server)
                    return reply if answers(reply, query, number) else None
                return await self._over_udp(question, server, query, number)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return None

    async def _over_udp(self, question: bytes, server: str, query: Query, number: int) -> bytes:
        loop = asyncio.get_running_loop()
        protocol = _Exchange(loop, query, number)
        transport, _ = await loop.create_datagram_endpoint(lambda: protocol, remote_addr=(server, self._port))
        try:
            transport.sendto(question)
            return await protocol.reply
        finally:
            transport.close()

    async def _over_tcp(self, question: bytes, server: str) -> bytes:
        reader, writer = await asyncio.open_connection(server, self._port)
        try:
            writer.write(len(question).to_bytes(2, "big") + question)
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        finally:
            writer.close()


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
