"""Between model structs and Docker's JSON: the two directions, and the reading of a body's JSON.

The work per type is prepared once. Differences between API versions are not here but in each resource's wire module.
"""

from typing import Any, TypeVar

import msgspec

from engine.api.wire.decoding import decoder_of
from engine.api.wire.encoding import encoder_of
from engine.core.errors import InvalidParameter

T = TypeVar("T", bound=msgspec.Struct)


class InvalidJSON(InvalidParameter):
    """A body is not JSON, or a value is of the wrong type; the texts are those of Go's decoder."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid JSON: {reason}")


class TrailingContent(InvalidParameter):
    """There is more behind the JSON value."""

    def __init__(self) -> None:
        super().__init__("unexpected content after JSON")


def encode(struct: msgspec.Struct, version: tuple[int, int] = (1, 51)) -> dict[str, Any]:
    """Return a struct as Docker's JSON has it. `version` is for callers that treat all encoders alike."""
    del version
    encoded: dict[str, Any] = encoder_of(type(struct))(struct)
    return encoded


def decode(data: bytes | dict[str, Any] | None, kind: type[T], path: str | None = None) -> T:
    """Return the struct that JSON describes, by Go's rules.

    Keys match in any case, the last of equal ones wins, unknown ones are ignored, null is the zero value. `path` is
    where `data` sits in the request, for messages (`.HostConfig`). Raises InvalidJSON.
    """
    value = parse(data) if isinstance(data, bytes) else data
    if value is None:
        return kind()
    try:
        decoded: T = decoder_of(kind).decode(value, path)
    except TypeError as error:
        raise InvalidJSON(str(error)) from error
    return decoded


def parse(data: bytes) -> Any:
    """Return the value of a JSON text. Raises InvalidJSON, TrailingContent with Go's texts."""
    if not data.strip():
        raise InvalidJSON("got EOF while reading request body")
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        reason = str(error)
        if "trailing characters" in reason:
            raise TrailingContent from error
        raise InvalidJSON(_explain(reason, data)) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise InvalidJSON("invalid text") from error


def lookup(value: dict[str, Any], name: str) -> Any:
    """Return what a JSON object has under a name in any case, the last one; None where it has none."""
    lower, found = name.lower(), None
    for key, item in value.items():
        if key == name or key.lower() == lower:
            found = item
    return found


_EXPLANATIONS = (
    ("object keys must be strings", "looking for beginning of object key string"),
    ("trailing comma in object", "looking for beginning of object key string"),
    ("expected ':'", "after object key"),
    ("expected ',' or '}'", "after object key:value pair"),
    ("expected ',' or ']'", "after array element"),
)


def _explain(reason: str, data: bytes) -> str:
    """Say what msgspec says as encoding/json says it."""
    if "truncated" in reason or data.strip() in (b"nul", b"tru", b"fals"):
        return "unexpected EOF"
    _, found, position = reason.rpartition("(byte ")
    offset = int(position.rstrip(")")) if found and position.rstrip(")").isdigit() else 0
    character = data[offset : offset + 1].decode("latin-1")
    shown = character if character.isprintable() else f"\\x{ord(character):02x}" if character else ""
    where = next((says for marker, says in _EXPLANATIONS if marker in reason), "looking for beginning of value")
    return f"invalid character '{shown}' {where}"
