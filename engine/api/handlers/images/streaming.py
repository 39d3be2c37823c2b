"""An answer that tells how some work goes on: pull, push, load."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from engine.api.transport.progress import ProgressStream
from engine.api.wire.image_progress import encode_line
from engine.core import os_errors
from engine.core.errors import Internal, WharfError
from engine.domain.images.progress import Line, Sink

log = logging.getLogger(__name__)


class DiskFailed(Internal):
    """The disk is full or broken."""

    def __init__(self, error: OSError) -> None:
        super().__init__(os_errors.text(error))


async def answer(
    request: web.BaseRequest,
    work: Callable[[Sink], Awaitable[None]],
    *,
    begin: bool = False,
    headers: dict[str, str] | None = None,
) -> web.StreamResponse:
    """Do the work and send its lines. An error before the first line is a status, unless `begin` sends one at once."""
    stream = ProgressStream(request, headers)
    if begin:
        await stream.begin()

    async def send(line: Line) -> None:
        await stream.send(encode_line(line))

    try:
        await work(send)
    except WharfError as error:
        await stream.fail(error)
    except ConnectionError:
        raise
    except OSError as error:
        log.error("%s %s: %s", request.method, request.path, error)
        await stream.fail(DiskFailed(error))
    return await stream.finish()
