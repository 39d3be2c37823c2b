"""Query parameters, read by Moby's rules."""

import re
from typing import Any

import msgspec
from aiohttp import web

from engine.core import times
from engine.core.errors import Internal, InvalidParameter

_FALSE = ("", "0", "no", "false", "none")
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


class NotANumber(Internal):
    """A parameter that has to be a number is not; the text is that of Go's strconv, and Docker answers 500."""

    def __init__(self, function: str, value: str) -> None:
        super().__init__(f'strconv.{function}: parsing "{value}": invalid syntax')


class InvalidDimension(InvalidParameter):
    """The height or width of a terminal is no number."""

    def __init__(self, name: str, value: str) -> None:
        what = {"h": "height", "w": "width"}.get(name, name)
        problem = "value out of range" if _INTEGER.fullmatch(value) else "invalid syntax"
        super().__init__(f'invalid resize {what} "{value}": {problem}')


class NotATime(Internal):
    """A time is not one. Docker answers 500 here."""

    def __init__(self, value: str) -> None:
        super().__init__(f'strconv.ParseInt: parsing "{value}": invalid syntax')


class MalformedFilters(InvalidParameter):
    """The `filters` parameter is not JSON of one of the two known shapes."""

    def __init__(self) -> None:
        super().__init__("invalid filter")


def text(request: web.BaseRequest, name: str, default: str = "") -> str:
    """Return a parameter's text, the first where it is repeated."""
    return request.query.get(name, default)


def texts(request: web.BaseRequest, name: str) -> list[str]:
    """Return all values of a repeatable parameter."""
    return list(request.query.getall(name, []))


def boolean(request: web.BaseRequest, name: str, default: bool = False) -> bool:
    """Return a truth value: everything is true but empty, `0`, `no`, `false`, `none` in any case."""
    value = request.query.get(name)
    if value is None:
        return default
    return value.strip().lower() not in _FALSE


def integer(request: web.BaseRequest, name: str, default: int | None = 0) -> int | None:
    """Return a number, `default` where it is absent or empty. Raises NotANumber."""
    value = request.query.get(name, "")
    return _number(value) if value else default


def required_number(request: web.BaseRequest, name: str) -> int:
    """Return a number that must be there. Raises NotANumber."""
    return _number(text(request, name))


def required_integer(request: web.BaseRequest, name: str) -> int:
    """Return the number of a terminal's dimension, 32 bits. Raises InvalidDimension, where it is absent, too."""
    value = request.query.get(name, "")
    if not (value.isascii() and value.isdigit()) or int(value) >= 2**32:
        raise InvalidDimension(name, value)
    return int(value)


def _number(value: str) -> int:
    if not _INTEGER.fullmatch(value) or len(value) > 19:
        raise NotANumber("Atoi", value)
    return int(value)


def instant(request: web.BaseRequest, name: str) -> int:
    """Return a time in nanoseconds since the epoch, 0 where it is absent. Raises NotATime."""
    value = request.query.get(name, "")
    if not value:
        return 0
    try:
        return times.parse_instant(value)
    except (ValueError, OverflowError) as error:
        raise NotATime(value) from error


def filters(request: web.BaseRequest) -> dict[str, list[str]]:
    """Return the `filters` parameter: Go clients send `{"k":{"v":true}}`, others `{"k":["v"]}`.

    Raises MalformedFilters.
    """
    value = request.query.get("filters", "")
    if not value:
        return {}
    try:
        decoded = msgspec.json.decode(value.encode())
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise MalformedFilters from error
    if decoded is None:
        return {}
    if not isinstance(decoded, dict):
        raise MalformedFilters
    return {key: _values(of_key) for key, of_key in decoded.items()}


def _values(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = list(value)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise MalformedFilters
    return value
