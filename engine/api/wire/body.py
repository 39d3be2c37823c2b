"""Request bodies that are JSON: their size, their content type, their decoding."""

from typing import Any, TypeVar

import msgspec
from aiohttp import web

from engine.api.transport.incoming import pieces
from engine.api.wire.codec import InvalidJSON, decode, parse
from engine.core.errors import InvalidParameter

T = TypeVar("T", bound=msgspec.Struct)
MAX_JSON_BYTES = 4 << 20


class BodyTooLarge(InvalidParameter):
    """More than `MAX_JSON_BYTES`; nothing of it has been acted on."""

    def __init__(self) -> None:
        super().__init__("http: request body too large")


class UnsupportedContentType(InvalidParameter):
    """A body that calls itself something else than JSON."""

    def __init__(self, given: str) -> None:
        super().__init__(f"unsupported Content-Type header ({given}): must be 'application/json'")


class MalformedContentType(InvalidParameter):
    """A content type without a media type."""

    def __init__(self, given: str) -> None:
        super().__init__(f"malformed Content-Type header ({given}): mime: no media type")


async def read_json(request: web.BaseRequest, kind: type[T], *, required: bool = True) -> T:
    """Return the body as a struct; the zero value for no body where none is required. Raises InvalidParameter."""
    data = await read_body(request, required=required)
    return decode(data, kind) if data.strip() else kind()


async def read_object(request: web.BaseRequest, *, required: bool = True) -> dict[str, Any]:
    """Return the body as a JSON object; an empty one for null, and for no body where none is required."""
    data = await read_body(request, required=required)
    value = parse(data) if data.strip() else {}
    if not isinstance(value, dict | None):
        raise InvalidJSON("json: cannot unmarshal a value that is no object")
    return value or {}


async def read_body(request: web.BaseRequest, *, required: bool = True) -> bytes:
    """Return the bytes of a JSON body. Raises InvalidParameter where it is missing, too large or not called JSON."""
    data = await read_up_to(request, MAX_JSON_BYTES)
    if data.strip():
        _check_content_type(request)
    elif required:
        raise InvalidJSON("got EOF while reading request body")
    return data


async def refuse_body(request: web.BaseRequest, message: str) -> None:
    """Raise InvalidParameter(message) for a body other than nothing, `{}` or null: some clients always send one."""
    data = await read_up_to(request, MAX_JSON_BYTES)
    if data.strip() not in (b"", b"{}", b"null"):
        raise InvalidParameter(message)


async def read_up_to(request: web.BaseRequest, limit: int) -> bytes:
    """Return the whole body. Raises BodyTooLarge where it has more than `limit` bytes."""
    if request.content_length is not None and request.content_length > limit:
        raise BodyTooLarge
    received, size = [], 0
    async for piece in pieces(request):
        size += len(piece)
        if size > limit:
            raise BodyTooLarge
        received.append(piece)
    return b"".join(received)


def is_json(request: web.BaseRequest) -> bool:
    """Tell whether a body would be taken for JSON. No content type counts, since many clients send none."""
    return _media_type(request) in ("", "application/json")


def _media_type(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _check_content_type(request: web.BaseRequest) -> None:
    given, media_type = request.headers.get("Content-Type", ""), _media_type(request)
    if given and not media_type:
        raise MalformedContentType(given)
    if not is_json(request):
        raise UnsupportedContentType(media_type)
