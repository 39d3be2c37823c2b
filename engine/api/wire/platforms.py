"""The platform parameters of requests: JSON objects (API 1.46 for push, 1.48 and later for the rest)."""

from typing import Any

from aiohttp import web

from engine.api.wire import query
from engine.api.wire.codec import InvalidJSON, TrailingContent, lookup, parse
from engine.core.errors import InvalidParameter
from engine.core.model.image import Platform
from engine.domain.images.platforms import normalize

_KINDS = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


class MalformedPlatform(InvalidParameter):
    """A platform that is not the JSON of one; the text is encoding/json's."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"failed to parse platform: {reason}")


class IncompletePlatform(InvalidParameter):
    """A platform without its system or its processor."""

    def __init__(self) -> None:
        super().__init__("both OS and Architecture must be provided")


class SeveralPlatforms(InvalidParameter):
    """More platforms than one where one is meant."""

    def __init__(self) -> None:
        super().__init__("multiple platform parameters not supported")


def one(request: web.BaseRequest, since: tuple[int, int]) -> Platform | None:
    """Return the `platform`, None where it is absent or the API older than `since`. Raises InvalidParameter."""
    texts = query.texts(request, "platform") if request["api_version"] >= since else []
    if len(texts) > 1:
        raise SeveralPlatforms
    return decode(texts[0]) if texts and texts[0] else None


def several(request: web.BaseRequest, since: tuple[int, int]) -> list[Platform]:
    """Return all `platforms`, none where the API is older than `since`. Raises InvalidParameter."""
    return [decode(text) for text in query.texts(request, "platforms")] if request["api_version"] >= since else []


def decode(text: str) -> Platform:
    """Return the platform that JSON describes. Raises MalformedPlatform, IncompletePlatform."""
    try:
        value = parse(text.encode(errors="replace"))
    except TrailingContent as error:
        raise MalformedPlatform("invalid character after top-level value") from error
    except InvalidJSON as error:
        raise MalformedPlatform(str(error).removeprefix("invalid JSON: ")) from error
    if not isinstance(value, dict | None):
        raise MalformedPlatform(f"json: cannot unmarshal {_KINDS[type(value)]} into Go value of type v1.Platform")
    system, architecture, variant = (_text(value or {}, name) for name in ("os", "architecture", "variant"))
    if not system or not architecture:
        raise IncompletePlatform
    return normalize(Platform(os=system, architecture=architecture, variant=variant))


def _text(value: dict[str, Any], name: str) -> str:
    found = lookup(value, name)
    if not isinstance(found, str | None):
        kind = _KINDS[type(found)]
        raise MalformedPlatform(f"json: cannot unmarshal {kind} into Go struct field Platform.{name} of type string")
    return found or ""
