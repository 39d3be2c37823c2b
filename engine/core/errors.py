"""The classes of error that a client can meet.

Each domain part has its concrete errors with the message in the class, derived from one of these; the API layer
maps class to HTTP status in one table (`engine/api/failure.py`). `str(error)` is what the client reads.
"""


class WharfError(Exception):
    """The root of every error that is meant for a client."""


class NotFound(WharfError):
    """The thing named does not exist (404)."""


class InvalidParameter(WharfError):
    """The request itself is wrong (400)."""


class Conflict(WharfError):
    """The thing's present state does not allow the request (409)."""


class NotModified(WharfError):
    """The thing is already as asked (304)."""


class Forbidden(WharfError):
    """The request is understood and refused (403)."""


class Unauthorized(WharfError):
    """Credentials are missing or wrong (401)."""


class Unavailable(WharfError):
    """The daemon is not in a mode that can answer this (503)."""


class NotImplementedHere(WharfError):
    """The API has it; this daemon or this host does not (501)."""


class Internal(WharfError):
    """The daemon, the kernel or a peer failed (500)."""
