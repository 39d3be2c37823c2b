"""A request's body as it comes; or, where it has been read to be shown to authorization plugins, what they saw."""

from collections.abc import AsyncIterator

from aiohttp import web

from engine.api.transport.connection import Connection
from engine.drivers.linux.lent import Lent

_SHOWN = "shown_body"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def pieces(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """Give the body's pieces. Whoever reads a body reads it so: what was not shown is not read either."""
    shown = request.get(_SHOWN)
    if shown is not None:
        yield shown
        return
    _invite(request)
    if isinstance(request.protocol, Connection):
        request.protocol.give_body()
    while piece := await request.content.readany():
        yield piece


def keep_shown(request: web.BaseRequest, body: bytes) -> None:
    """Let `body`, which has been read from the connection, be what `pieces` gives."""
    request[_SHOWN] = body


class Upload:
    """A body that a worker may read by itself, if the connection allows; else there are its pieces."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request

    def pieces(self) -> AsyncIterator[bytes]:
        """Give the body's pieces."""
        return pieces(self._request)

    def lend(self) -> Lent | None:
        """Return the body for a worker; then `pieces` is not used. None where it does not come plain from a socket."""
        protocol = self._request.protocol
        if self._request.get(_SHOWN) is not None or not isinstance(protocol, Connection):
            return None
        lent = protocol.lend()
        if lent is not None:
            _invite(self._request)
        return lent

    def read_whole(self) -> None:
        """Tell that a lent body has been read to its end."""
        self._request.content.feed_eof()


def _invite(request: web.BaseRequest) -> None:
    """Tell a client that waits for it to send its body (RFC 9110, section 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(_CONTINUE)
