"""JSON objects to structs by the rules of Go's encoding/json: one prepared decoder for each type.

A value of the wrong type is a TypeError with Go's text, which the codec turns into the client's error.
"""

from collections.abc import Callable
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from engine.api.wire.go_types import (
    INTEGER_RANGES,
    INTEGER_TYPES,
    INTERNAL,
    ROOT_NAMES,
    SIGNED_RANGE,
    STRING_OR_LIST,
    TYPE_NAMES,
)
from engine.api.wire.names import json_name

Decoder = Callable[[Any, str], Any]
"""Takes a JSON value and its path in the request."""


class StructDecoder:
    """Decodes objects into one type of struct."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self._kind = kind
        hints = get_type_hints(kind)
        fields = [f for f in kind.__struct_fields__ if f not in INTERNAL.get(kind, ())]
        self._exact = {json_name(f): (f, _field_decoder(kind, f, hints[f]), _optional(hints[f])) for f in fields}
        self._folded = {name.lower(): entry for name, entry in self._exact.items()}

    def decode(self, value: Any, path: str | None = None) -> Any:
        """Return the struct; `path` is where the value sits in the request, None for the whole of it."""
        if not isinstance(value, dict):
            raise _mismatch(value, path, TYPE_NAMES.get(self._kind, self._kind.__name__))
        prefix = ROOT_NAMES.get(self._kind, self._kind.__name__) if path is None else path
        found: dict[str, Any] = {}
        for key, item in value.items():
            entry = self._exact.get(key) or self._folded.get(key.lower())
            if entry is None:
                continue
            field, decode, optional = entry
            if item is not None:
                found[field] = decode(item, f"{prefix}.{key if key in self._exact else json_name(field)}")
            elif optional:
                found[field] = None
        return self._kind(**found)


@cache
def decoder_of(kind: type[msgspec.Struct]) -> StructDecoder:
    """Return the decoder of a type."""
    return StructDecoder(kind)


def _optional(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType) and type(None) in get_args(hint)


def _bare(hint: Any) -> Any:
    return next(a for a in get_args(hint) if a is not type(None)) if _optional(hint) else hint


def _field_decoder(kind: type, field: str, hint: Any) -> Decoder:
    if field in STRING_OR_LIST.get(kind, ()):
        return _string_or_list
    return _decoder_for(_bare(hint), INTEGER_TYPES.get((kind, field), "int64"))


def _decoder_for(hint: Any, integer: str = "int64") -> Decoder:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is list:
        return _list_decoder(arguments[0], integer)
    if origin is dict:
        return _dict_decoder(arguments[1], integer)
    if origin is tuple:
        return _array_decoder(len(arguments), integer)
    if issubclass(hint, msgspec.Struct):
        return decoder_of(hint).decode
    if issubclass(hint, Enum):
        return lambda value, path: hint(_text(value, path))
    return {str: _text, bool: _truth, int: _integer_decoder(integer), float: _number}.get(hint, _anything)


def _go_name(hint: Any, integer: str = "int64") -> str:
    """Return what Go calls a type."""
    hint = _bare(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is list:
        return f"[]{_go_name(arguments[0])}"
    if origin is dict:
        return f"map[string]{_go_name(arguments[1])}"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return TYPE_NAMES.get(hint, hint.__name__)
    return {str: "string", bool: "bool", int: integer, float: "float64"}.get(hint, "interface {}")


def _mismatch(value: Any, path: str | None, wanted: str) -> TypeError:
    found = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    shown = found.get(type(value), "null")
    if wanted.startswith(("int", "uint", "time.")) and shown == "number":
        shown = f"number {value:g}" if isinstance(value, float) else f"number {value}"
    where = f"Go struct field {path}" if path else "Go value"
    return TypeError(f"json: cannot unmarshal {shown} into {where} of type {wanted}")


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise _mismatch(value, path, "string")
    return value


def _truth(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise _mismatch(value, path, "bool")
    return value


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(value, path, "float64")
    return value


def _anything(value: Any, path: str) -> Any:
    del path
    return value


def _integer_decoder(name: str) -> Decoder:
    low, high = INTEGER_RANGES.get(name, SIGNED_RANGE)

    def decode(value: Any, path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _mismatch(value, path, name)
        return value

    return decode


def _string_or_list(value: Any, path: str) -> list[str]:
    """Moby's strslice decodes apart from its surroundings, so its message knows no field."""
    del path
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise _mismatch(value, None, "string")
    return value


def _list_decoder(item: Any, integer: str) -> Decoder:
    decode_item, name = _decoder_for(_bare(item), integer), f"[]{_go_name(item)}"
    zero = _zero(item)

    def decode(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise _mismatch(value, path, name)
        return [zero() if v is None else decode_item(v, f"{path}.{i}") for i, v in enumerate(value)]

    return decode


def _dict_decoder(item: Any, integer: str) -> Decoder:
    decode_item, name = _decoder_for(_bare(item), integer), f"map[string]{_go_name(item)}"
    zero = _zero(item)

    def decode(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _mismatch(value, path, name)
        return {k: zero() if v is None else decode_item(v, f"{path}.{_escape(k)}") for k, v in value.items()}

    return decode


def _zero(hint: Any) -> Callable[[], Any]:
    """Return what makes the value that null stands for among the items of a collection."""
    if _optional(hint):
        return lambda: None
    constructor: Callable[[], Any] = get_origin(hint) or hint
    return constructor


def _escape(key: str) -> str:
    """A key in a path is written as a JSON pointer has it."""
    return key.replace("~", "~0").replace("/", "~1")


def _array_decoder(length: int, integer: str) -> Decoder:
    """Go's arrays have a fixed length: what is missing is zero, what is too much is dropped."""
    decode_item = _integer_decoder(integer)

    def decode(value: Any, path: str) -> tuple[int, ...]:
        if not isinstance(value, list):
            raise _mismatch(value, path, f"[{length}]{integer}")
        items = [0 if v is None else decode_item(v, f"{path}.{i}") for i, v in enumerate(value[:length])]
        return tuple(items + [0] * (length - len(items)))

    return decode
