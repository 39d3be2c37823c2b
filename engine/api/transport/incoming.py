"""A request's body as it comes; or, where it has been read to be shown to authorization plugins, what they saw."""

from collections.abc import AsyncIterator

from aiohttp import web

_SHOWN = "shown_body"


async def pieces(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """Give the body's pieces. Whoever reads a body reads it so: what was not shown is not read either."""
    shown = request.get(_SHOWN)
    if shown is not None:
        yield shown
        return
    while piece := await request.content.readany():
        yield piece


def keep_shown(request: web.BaseRequest, body: bytes) -> None:
    """Let `body`, which has been read from the connection, be what `pieces` gives."""
    request[_SHOWN] = body
