"""Errors on the wire: the one table of which class has which gRPC status, and the details that clients show."""

import base64
import json
import logging
from collections.abc import Sequence
from typing import Any

from engine.api.transport.rpc import Code, RpcError
from engine.core import errors
from engine.domain.builder.builds import NoSuchBuild
from engine.domain.builder.failures import VertexFailed
from engine.domain.builder.frontend import SourceFailed, UnsupportedRequest
from engine.domain.builder.llb.ops import SourceRange

log = logging.getLogger(__name__)
_TYPES = "github.com/moby/buildkit/errdefs."
_CODES: tuple[tuple[type[errors.WharfError], Code], ...] = (
    (NoSuchBuild, Code.NOT_FOUND),
    (errors.NotImplementedHere, Code.UNIMPLEMENTED),
)
"""All others are UNKNOWN, as with BuildKit: a client puts the name of any other code before the text."""


def rpc_error(error: Exception) -> RpcError:
    """Return what a client is told of an error. One that nobody foresaw is logged with its traceback."""
    if not isinstance(error, (errors.WharfError, OSError)):
        log.error("a call failed unexpectedly", exc_info=error)
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Code.UNKNOWN)
    return RpcError(code, str(error) or type(error).__name__, _details(error))


def _details(error: Exception) -> list[tuple[str, bytes]]:
    """Return the place in the Dockerfile and the vertex, where the error knows them."""
    if isinstance(error, VertexFailed):
        place = [_source(error.source)] if error.source else []
        return [*place, _detail("Vertex", {"digest": error.digest})]
    if isinstance(error, SourceFailed) and error.ranges:
        return [_source(error.ranges)]
    if isinstance(error, UnsupportedRequest):
        return [_detail("Subrequest", {"name": error.name})]
    return []


def _source(ranges: Sequence[SourceRange]) -> tuple[str, bytes]:
    first = ranges[0]
    info = {
        "filename": first.filename,
        "data": base64.b64encode(first.data).decode(),
        "language": "Dockerfile",
    }
    lines = [{"start": {"line": each.start}, "end": {"line": each.end}} for each in ranges]
    return _detail("Source", {"info": info, "ranges": lines})


def _detail(kind: str, value: Any) -> tuple[str, bytes]:
    return f"{_TYPES}{kind}+json", json.dumps(value).encode()
