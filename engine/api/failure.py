"""Errors to HTTP: the one table of which class of error has which status."""

import logging

from aiohttp import web

from engine.api.transport import reply
from engine.core import errors, os_errors

log = logging.getLogger(__name__)
_STATUS: tuple[tuple[type[errors.WharfError], int], ...] = (
    (errors.NotFound, 404),
    (errors.InvalidParameter, 400),
    (errors.Conflict, 409),
    (errors.NotModified, 304),
    (errors.Forbidden, 403),
    (errors.Unauthorized, 401),
    (errors.Unavailable, 503),
    (errors.NotImplementedHere, 501),
)


def status_of(error: Exception) -> int:
    """Return the HTTP status of an error; what is not listed is the daemon's own failure, 500."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def answer(error: Exception) -> web.Response:
    """Return the answer to a request that failed. An error that nobody foresaw is logged with its traceback."""
    status = status_of(error)
    if status == 304:
        return reply.empty(304)
    if isinstance(error, OSError):
        return reply.failure(os_errors.text(error), 500)
    if not isinstance(error, errors.WharfError):
        log.error("a request failed unexpectedly", exc_info=error)
        return reply.failure(str(error) or type(error).__name__, 500)
    return reply.failure(str(error), status)
