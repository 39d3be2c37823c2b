"""HTTP/2's frames (RFC 9113, sections 4 and 6): cut from what comes, built for what goes. Pure."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

HEADER_TABLE_SIZE = 0x1
ENABLE_PUSH = 0x2
INITIAL_WINDOW_SIZE = 0x4
MAX_FRAME_SIZE = 0x5

NO_ERROR, PROTOCOL_ERROR = 0x0, 0x1
CANCEL = 0x8

SMALLEST_WINDOW = 0xFFFF
SMALLEST_MAX_FRAME = 1 << 14
LARGEST_WINDOW = (1 << 31) - 1

_HEAD = struct.Struct(">HBBBL")  # A length of 24 bits, in two parts.
_WORD = struct.Struct(">L")
_SETTING = struct.Struct(">HL")


class Violation(Exception):
    """The peer does not keep to the protocol."""


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def build(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame's bytes."""
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return build(SETTINGS, 0, 0, b"".join(_SETTING.pack(key, value) for key, value in values.items()))


def window_update(stream: int, size: int) -> bytes:
    """Return a WINDOW_UPDATE frame; stream 0 is the connection."""
    return build(WINDOW_UPDATE, 0, stream, _WORD.pack(size))


def reset(stream: int, code: int) -> bytes:
    """Return a RST_STREAM frame."""
    return build(RST_STREAM, 0, stream, _WORD.pack(code))


def go_away(code: int) -> bytes:
    """Return a GOAWAY frame of a side that has accepted no streams."""
    return build(GOAWAY, 0, 0, _WORD.pack(0) + _WORD.pack(code))


def word(payload: bytes) -> int:
    """Return the number in a WINDOW_UPDATE or RST_STREAM frame, or at the start of another. Raises Violation."""
    if len(payload) < _WORD.size:
        raise Violation("a frame is too short")
    found: int = _WORD.unpack_from(payload)[0]
    return found & LARGEST_WINDOW


def read_settings(payload: bytes) -> dict[int, int]:
    """Return what a SETTINGS frame sets. Raises Violation."""
    if len(payload) % _SETTING.size:
        raise Violation("settings of a wrong size")
    return dict(_SETTING.iter_unpack(payload))


def content(frame: Frame) -> bytes:
    """Return what a DATA or HEADERS frame holds, without padding and priority. Raises Violation."""
    payload = frame.payload
    if not frame.flags & (PADDED | WITH_PRIORITY):
        return payload
    start = end = 0
    if frame.flags & PADDED:
        if not payload or payload[0] >= len(payload):
            raise Violation("more padding than frame")
        start, end = 1, payload[0]
    if frame.kind == HEADERS and frame.flags & WITH_PRIORITY:
        start += 5
    return payload[start : len(payload) - end]


class Cutter:
    """Cuts a connection's bytes into frames."""

    def __init__(self) -> None:
        self._pending = b""

    def frames(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete now. Raises Violation for one over the size that we allow."""
        data = self._pending + data if self._pending else data
        position, end = 0, len(data)
        while end - position >= _HEAD.size:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, position)
            size = high << 8 | low
            if size > SMALLEST_MAX_FRAME:
                raise Violation("a frame is too large")
            start = position + _HEAD.size
            if end - start < size:
                break
            position = start + size
            yield Frame(kind, flags, stream & LARGEST_WINDOW, data[start:position])
        self._pending = data[position:]
