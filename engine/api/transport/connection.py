"""A client's connection: aiohttp's protocol, with what Docker's hijacking needs beside it.

Bytes go through `framing.py`; those behind a request that a handler may take the connection over with are held back.
A client that shuts down its sending side has not gone away, if it has such a request under way.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from engine.api.transport.framing import Framing
from engine.api.transport.instant import InstantAnswers
from engine.drivers.linux.hangup import HangupWatch
from engine.drivers.linux.lent import Lent

_MAX_HELD = 64 << 10
_PREFACE = b"PRI * HTTP/2.0\r\n\r\n"


class Taken(NamedTuple):
    """A connection that is no longer aiohttp's: bytes that came already, whether the client has ended its input."""

    transport: asyncio.Transport
    early: bytes
    half_closed: bool
    hangups: HangupWatch


class Lending:
    """A socket that somebody else reads: watched meanwhile for a client that leaves."""

    def __init__(self, fd: int, hangups: HangupWatch, gone: Callable[[], None]) -> None:
        self._fd = fd
        self._hangups = hangups
        self._gone = gone
        hangups.add(fd, gone)

    def end(self) -> None:
        """Watch no more."""
        self._hangups.discard(self._fd, self._gone)


class Connection(RequestHandler):
    """One connection."""

    __slots__ = (
        "_framing",
        "_half_closed",
        "_hangups",
        "_held",
        "_holding",
        "_instant",
        "_lending",
        "_outright",
        "_taken",
    )

    def __init__(self, server: "Server", hangups: HangupWatch, instant: InstantAnswers | None, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._instant = instant
        self._outright = server.outright
        self._framing = Framing()
        self._hangups = hangups
        self._held = bytearray()
        self._holding = False
        self._half_closed = False
        self._taken = False
        self._lending: Lending | None = None

    def data_received(self, data: bytes) -> None:
        """Cut what came and give the parser its part."""
        if self._lending is not None:
            return  # What a failed upload still sends.
        if self._holding:
            self._hold(data)
        elif data.startswith(_PREFACE) and self._handed_over(data):
            return
        elif data and not self._answered(data):
            self._frame(data)
        elif not data:
            # aiohttp calls itself so, to go on with what its parser has kept.
            super().data_received(data)

    def _answered(self, data: bytes) -> bool:
        """Answer a request for which no parser is needed, if it is one and no other comes before it."""
        if self._instant is None or self._messages or self._current_request is not None or not self._framing.idle:
            return False
        answer = self._instant.answer(data)
        if answer is None or self.transport is None:
            return False
        self.transport.write(answer)
        return True

    def _handed_over(self, data: bytes) -> bool:
        """Let another protocol have a connection that speaks HTTP/2 from its first byte, if there is one for it."""
        transport, protocol = self.transport, self._outright()
        if transport is None or protocol is None or self._messages or not self._framing.idle:
            return False
        # For aiohttp it has ended; without its transport, which aiohttp would close.
        self.transport = None
        super().connection_lost(None)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)
        return True

    def _frame(self, data: bytes) -> None:
        while data:
            now, data, takeable = self._framing.cut(data)
            if takeable:
                # Before the parser runs: the handler may start at once.
                self._holding = True
                self._hold(data)
                data = b""
            if now:
                super().data_received(now)

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) >= _MAX_HELD:
            self._pause_transport_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End the watch of a lent socket, whose number will be another's; then all that hangs on the connection."""
        if self._lending is not None:
            self._lending.end()
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Keep the connection while a request that may take it is under way; else the client is gone."""
        if not self._holding or self._lending is not None:
            return None
        self._half_closed = True
        return True

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer; then go on with what was held back, where the connection was not taken after all."""
        if self._lending is not None:
            resp.force_close()
        answered = await super().finish_response(request, resp, start_time)
        if self._lending is not None:
            # The answer is out; a client that still sends must not have its connection reset before it has read that.
            self._lending.end()
            self._resume_transport_reading()
        elif self._holding and not self._taken and not self._messages:
            self._release()
        return answered

    def _release(self) -> None:
        self._holding = False
        held, self._held = bytes(self._held), bytearray()
        if self._half_closed:
            self.close()
            return
        if len(held) >= _MAX_HELD:
            self._resume_transport_reading()
        self.data_received(held)

    def give_body(self) -> None:
        """Let the parser have a body that was held back because it might be lent."""
        if self._holding and self._framing.lendable and self._lending is None:
            half_closed, self._half_closed = self._half_closed, False
            self._release()
            if half_closed:
                self.close()

    def lend(self) -> Lent | None:
        """Lend the body of the present request, and with it the reading side of the socket; None where it cannot be.

        The connection ends with the answer. `read_whole` tells that the body has been read to its end.
        """
        transport = self.transport
        if not self._holding or not self._framing.lendable or transport is None:
            return None
        socket = transport.get_extra_info("socket")
        if socket is None or transport.get_extra_info("ssl_object") is not None:
            return None
        self._pause_transport_reading()
        self._lending = Lending(socket.fileno(), self._hangups, transport.abort)
        return Lent(socket.fileno(), bytes(self._held), self._framing.body_length)

    def take(self) -> Taken:
        """Take the connection away from aiohttp. Raises ConnectionResetError when the client is gone.

        Its loss is then no reason to cancel the handler, which learns of it from its new protocol.
        """
        if self.transport is None or self._manager is None:
            raise ConnectionResetError("the client is gone")
        if not self._holding or self._taken:
            raise RuntimeError("this request cannot take its connection")
        self._taken = True
        self.keep_alive(False)
        self._manager.connection_lost(self, None)
        self._resume_transport_reading()
        return Taken(self.transport, bytes(self._held), self._half_closed, self._hangups)


class Server(web.Server):
    """aiohttp's low-level server with our connections. `outright` makes protocols for HTTP/2 without an upgrade."""

    def __init__(self, *args: Any, instant: InstantAnswers | None = None, **options: Any) -> None:
        super().__init__(*args, handler_cancellation=True, **options)
        self.outright: Callable[[], asyncio.Protocol | None] = lambda: None
        self.hangups = HangupWatch()
        self._instant = instant

    def __call__(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self, self.hangups, self._instant, **self._kwargs)
