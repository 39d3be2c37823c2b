"""GELF 1.1 messages: JSON, compressed and in chunks for UDP, ended by a zero byte for TCP. Pure.

Source: Graylog Extended Log Format specification; the compression levels and chunk sizes are dockerd's (go-gelf).
"""

import gzip
import json
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.drivers.logs.forward.encoder import Clock
from engine.drivers.logs.forward.entries import Entry
from engine.drivers.logs.options import STDERR

CHUNK = 1420
_CHUNK_DATA = CHUNK - 12
_MOST_CHUNKS = 128
_MAGIC = b"\x1e\x0f"
_ERROR, _INFORMATIONAL = 3, 6
_MILLISECOND = 1_000_000
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ESCAPES = str.maketrans(_ESCAPED)


@dataclass(frozen=True, slots=True)
class GelfForm:
    """`extra` is what each message says of the container; `compression` is gzip, zlib or none; `stream`: over TCP."""

    extra: Mapping[str, str] = field(default_factory=dict)
    compression: str = "gzip"
    level: int = 1
    stream: bool = False


class GelfEncoder:
    """One container's messages."""

    def __init__(self, form: GelfForm, hostname: str) -> None:
        self._clock = Clock()
        self._stream = form.stream
        self._compress = _compressor(form)
        self._head = f'{{"version":"1.1","host":{_json(hostname)},"short_message":'.encode()
        self._tail = "".join(f",{_json(k)}:{_json(v)}" for k, v in sorted(form.extra.items())).encode() + b"}"

    def encode(self, entries: Sequence[Entry]) -> list[bytes]:
        """Return the packets of the entries. Empty lines are not sent, as in dockerd; nor is what needs 129 chunks."""
        messages = [self._message(entry) for entry in entries if entry.line]
        if self._stream:
            return [message + b"\0" for message in messages]
        return [packet for message in messages for packet in chunks(self._compress(message))]

    def _message(self, entry: Entry) -> bytes:
        level = _ERROR if entry.stream == STDERR else _INFORMATIONAL
        time = self._clock.read(entry.time) // _MILLISECOND / 1000
        line = _json(entry.line.decode(errors="replace")).encode()
        return b'%b%b,"timestamp":%b,"level":%d%b' % (self._head, line, repr(time).encode(), level, self._tail)


def chunks(message: bytes) -> list[bytes]:
    """Return the datagrams of a message, none where it is too large for the protocol."""
    if len(message) <= CHUNK:
        return [message]
    pieces = [message[i : i + _CHUNK_DATA] for i in range(0, len(message), _CHUNK_DATA)]
    if len(pieces) > _MOST_CHUNKS:
        return []
    head = _MAGIC + secrets.token_bytes(8)
    return [head + bytes((number, len(pieces))) + piece for number, piece in enumerate(pieces)]


def _compressor(form: GelfForm) -> Callable[[bytes], bytes]:
    if form.compression == "none":
        return bytes
    if form.compression == "zlib":
        return lambda message: zlib.compress(message, form.level)
    level = 6 if form.level == -1 else form.level
    return lambda message: gzip.compress(message, level, mtime=0)


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_ESCAPES)
