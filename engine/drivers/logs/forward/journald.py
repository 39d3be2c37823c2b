"""Entries of the systemd journal, in its native protocol. Pure.

Source: systemd, "Native Journal Protocol"; the fields are dockerd's.
"""

import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.drivers.logs.forward.entries import Entry
from engine.drivers.logs.options import STDERR

SOCKET = "/run/systemd/journal/socket"
_ERROR, _INFORMATIONAL = "3", "6"


@dataclass(frozen=True, slots=True)
class JournaldForm:
    """What each entry says of the container."""

    fields: Mapping[str, str] = field(default_factory=dict)


class JournaldEncoder:
    """One container's entries; the epoch tells the runs of a logger apart, the ordinal orders what bears one time."""

    def __init__(self, form: JournaldForm) -> None:
        epoch = {"CONTAINER_LOG_EPOCH": secrets.token_hex(32)}
        self._fixed = b"".join(_field(name, value.encode()) for name, value in {**form.fields, **epoch}.items())
        self._ordinal = 0

    def encode(self, entries: Sequence[Entry]) -> list[bytes]:
        """Return one datagram for each entry."""
        return [self._packet(entry) for entry in entries]

    def _packet(self, entry: Entry) -> bytes:
        self._ordinal += 1
        own = {
            "SYSLOG_TIMESTAMP": f"{_go_time(entry.time)}Z",
            "CONTAINER_LOG_ORDINAL": str(self._ordinal),
            **_piece(entry),
        }
        priority = _field("PRIORITY", (_ERROR if entry.stream == STDERR else _INFORMATIONAL).encode())
        fields = b"".join(_field(name, value.encode()) for name, value in own.items())
        return priority + _field("MESSAGE", entry.line) + self._fixed + fields


def field_name(text: str) -> str:
    """Return a label's name as the journal takes it: capitals, digits and underscores, none of these first."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text).lstrip("_").upper()


def _go_time(stamp: bytes) -> str:
    """Go's RFC3339Nano drops zeros at the end."""
    return stamp.decode().rstrip("0").rstrip(".")


def _piece(entry: Entry) -> dict[str, str]:
    if entry.piece is None:
        return {}
    fields = {
        "CONTAINER_PARTIAL_ID": entry.piece.id,
        "CONTAINER_PARTIAL_ORDINAL": str(entry.piece.ordinal),
        "CONTAINER_PARTIAL_LAST": str(entry.piece.last).lower(),
    }
    return fields if entry.piece.last else {**fields, "CONTAINER_PARTIAL_MESSAGE": "true"}


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"
