"""Structs to JSON objects: one prepared encoder for each type."""

import operator
from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from engine.api.wire.go_types import ALL_FIELDS, INTERNAL, OMIT_EMPTY, OMIT_NULL
from engine.api.wire.names import json_name

Encoder = Callable[[Any], Any]


@cache
def encoder_of(kind: type[msgspec.Struct]) -> Encoder:
    """Return what turns a struct of this type into a dict with Docker's names."""
    hints = get_type_hints(kind)
    fields = [f for f in kind.__struct_fields__ if f not in INTERNAL.get(kind, ())]
    if not fields:
        return _empty
    names = [json_name(f) for f in fields]
    nested = [(json_name(f), e) for f in fields if (e := _encoder_for(hints[f])) is not None]
    # A pointer at an empty object is not empty.
    pointers = [f for f in fields if _is_struct(hints[f])]
    empty = _named(kind, OMIT_EMPTY, [f for f in fields if f not in pointers])
    null = [*_named(kind, OMIT_NULL, fields), *_named(kind, OMIT_EMPTY, pointers)]
    get = _getter(fields)

    def encode(struct: Any) -> dict[str, Any]:
        result = dict(zip(names, get(struct), strict=True))
        for name, encode_value in nested:
            if result[name] is not None:
                result[name] = encode_value(result[name])
        for name in empty:
            if not result[name]:
                del result[name]
        for name in null:
            if result[name] is None:
                del result[name]
        return result

    return encode


def _is_struct(hint: Any) -> bool:
    bare = next((a for a in get_args(hint) if a is not type(None)), hint)
    return get_origin(hint) in (Union, UnionType, None) and isinstance(bare, type) and issubclass(bare, msgspec.Struct)


def _empty(_: Any) -> dict[str, Any]:
    return {}


def _named(kind: type, table: dict[type, tuple[str, ...]], fields: list[str]) -> list[str]:
    omitted = table.get(kind, ())
    return [json_name(f) for f in fields if f in omitted or omitted == ALL_FIELDS]


def _getter(fields: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(fields) == 1:
        return lambda struct: (getattr(struct, fields[0]),)
    return operator.attrgetter(*fields)


def _encoder_for(hint: Any) -> Encoder | None:
    """Return the encoder of a field's values, None where they are JSON already."""
    arguments = get_args(hint)
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _encoder_for(next(a for a in arguments if a is not type(None)))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return encoder_of(hint)
    if origin is list:
        return _list_of(_encoder_for(arguments[0]))
    if origin is dict:
        return _dict_of(_encoder_for(arguments[1]))
    return None


def _list_of(item: Encoder | None) -> Encoder | None:
    return None if item is None else lambda values: [None if v is None else item(v) for v in values]


def _dict_of(item: Encoder | None) -> Encoder | None:
    return None if item is None else lambda values: {k: None if v is None else item(v) for k, v in values.items()}
