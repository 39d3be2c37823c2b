"""A connection whose protocol is yet to be made: what comes meanwhile is kept for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

log = logging.getLogger(__name__)


class Later(asyncio.Protocol):
    """Takes a connection, and passes it on to the protocol that `make` returns; closes it where that fails."""

    def __init__(self, make: Callable[[], Awaitable[asyncio.Protocol]]) -> None:
        self._make = make
        self._early = bytearray()
        self._ended = False
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to make the protocol."""
        # uvloop's transports are not asyncio's in type.
        self._transport = cast(asyncio.Transport, transport)
        # What is on its way stays in the kernel; little has come before.
        self._transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._hand_over(self._transport))

    def data_received(self, data: bytes) -> None:
        """Keep what has come."""
        self._early += data

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget the connection: the client did not wait."""
        self._ended = True

    async def _hand_over(self, transport: asyncio.Transport) -> None:
        try:
            protocol = await self._make()
        except Exception:
            log.exception("a connection cannot be served")
            transport.close()
            return
        if self._ended:
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(bytes(self._early))
        transport.resume_reading()
