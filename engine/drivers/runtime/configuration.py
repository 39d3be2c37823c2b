"""OCI configurations as the runtime reads them. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.drivers.runtime.failures import RuntimeFailed


class NullByte(RuntimeFailed):
    """A text has a null byte: crun would take what is before it for all of it, and runc refuses most."""

    def __init__(self, text: str) -> None:
        super().__init__(f"invalid OCI configuration: value contains null byte: {text!r}")


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return the JSON of a container's or a process's configuration. Raises NullByte."""
    data = msgspec.json.encode(document)
    if rb"\u0000" in data:
        _require_no_null(document)
    return data


def _require_no_null(value: object) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise NullByte(value)
    elif isinstance(value, Mapping):
        for each in value.items():
            _require_no_null(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _require_no_null(each)
