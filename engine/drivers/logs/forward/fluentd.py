"""Fluentd's forward protocol, message mode: `[tag, time, record, option]` in MessagePack. Pure.

Strings are written as they came from the container, valid UTF-8 or not, as dockerd does: fluentd takes them for text.
Source: fluentd, Forward Protocol Specification v1; MessagePack specification.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from engine.drivers.logs.forward.encoder import Clock
from engine.drivers.logs.forward.entries import Entry
from engine.drivers.logs.options import STDERR

_SECOND = 1_000_000_000
_ARRAY_OF_4, _EMPTY_MAP, _EVENT_TIME = b"\x94", b"\x80", b"\xd7\x00"


@dataclass(frozen=True, slots=True)
class FluentdForm:
    """`record` is what each message says beside the line; `sub_second`: times in nanoseconds."""

    tag: str
    record: Mapping[str, str] = field(default_factory=dict)
    sub_second: bool = False


class FluentdEncoder:
    """One container's messages."""

    def __init__(self, form: FluentdForm) -> None:
        self._clock = Clock()
        self._head = _ARRAY_OF_4 + text(form.tag.encode())
        self._sub_second = form.sub_second
        # Labels and variables win over dockerd's own fields where they have the same name.
        fields = {"source": "", "log": "", **form.record}
        self._own = [name for name in ("source", "log") if name not in form.record]
        self._size = len(fields)
        self._record = b"".join(text(k.encode()) + text(v.encode()) for k, v in form.record.items())

    def encode(self, entries: Sequence[Entry]) -> list[bytes]:
        """Return one packet for each entry, without its option: see `with_option`."""
        return [self._packet(entry) + _EMPTY_MAP for entry in entries]

    def _packet(self, entry: Entry) -> bytes:
        values = {"source": b"stderr" if entry.stream == STDERR else b"stdout", "log": entry.line}
        fields = [text(name.encode()) + text(values[name]) for name in self._own]
        if entry.piece:
            fields += _piece(entry)
        size = self._size + (4 if entry.piece else 0)
        return b"".join((self._head, self._time(entry.time), _map_of(size), self._record, *fields))

    def _time(self, stamp: bytes) -> bytes:
        seconds, nanos = divmod(self._clock.read(stamp), _SECOND)
        return _EVENT_TIME + struct.pack(">II", seconds, nanos) if self._sub_second else b"\xd2" + _int32(seconds)


def with_chunk(packet: bytes, chunk: str) -> bytes:
    """Return the packet with an option that asks for an acknowledgement."""
    return packet[: -len(_EMPTY_MAP)] + b"\x81" + text(b"chunk") + text(chunk.encode())


def acknowledged(answer: bytes) -> str | None:
    """Return which chunk an answer acknowledges, None while it is not complete or is something else."""
    try:
        decoded = msgspec.msgpack.decode(answer)
    except msgspec.DecodeError:
        return None
    return decoded.get("ack") if isinstance(decoded, dict) else None


def _piece(entry: Entry) -> list[bytes]:
    assert entry.piece
    values = {
        "partial_message": "true",
        "partial_id": entry.piece.id,
        "partial_ordinal": str(entry.piece.ordinal),
        "partial_last": str(entry.piece.last).lower(),
    }
    return [text(name.encode()) + text(value.encode()) for name, value in values.items()]


def text(data: bytes) -> bytes:
    """Return a MessagePack string."""
    size = len(data)
    if size < 32:
        return bytes((0xA0 | size,)) + data
    if size < 1 << 8:
        return b"\xd9" + bytes((size,)) + data
    return (b"\xda" + struct.pack(">H", size) if size < 1 << 16 else b"\xdb" + struct.pack(">I", size)) + data


def _map_of(size: int) -> bytes:
    return bytes((0x80 | size,)) if size < 16 else b"\xde" + struct.pack(">H", size)


def _int32(number: int) -> bytes:
    return struct.pack(">i", min(number, (1 << 31) - 1))
