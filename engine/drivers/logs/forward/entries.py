"""From conmon's records to the messages that log drivers send: whole lines, and pieces of lines beyond 16 KiB. Pure.

conmon cuts a line wherever a read ended; dockerd's drivers cut it at 16 KiB only and number the pieces. Source: moby,
`daemon/logger/copier.go`.
"""

import secrets
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from engine.drivers.logs.options import STDERR, STDOUT
from engine.drivers.logs.parse import FLAG, KIND_START, TEXT, TIME_END, normal_record

LONGEST = 16 << 10
_STDERR_KIND = b" stderr "


class Piece(NamedTuple):
    """Where a message belongs in a line that was cut: `ordinal` counts from 1; `last` is the piece with its end."""

    id: str
    ordinal: int
    last: bool


class Entry(NamedTuple):
    """One message: its time as records have it (UTC, nanoseconds, no zone), the text without its line end."""

    stream: int
    time: bytes
    line: bytes
    piece: Piece | None = None


class OpenLine(msgspec.Struct):
    """The beginning of a line whose end has yet to come: text that has not gone out, pieces that have."""

    time: bytes = b""
    text: bytes = b""
    id: str = ""
    ordinal: int = 0

    def add(self, time: bytes, text: bytes) -> None:
        """Append a part of the line."""
        if not self.time:
            self.time = time
        self.text += text

    def pieces(self, stream: int) -> Iterator[Entry]:
        """Yield what fills a whole piece."""
        while len(self.text) >= LONGEST:
            yield self._entry(stream, LONGEST, last=False)

    def end(self, stream: int) -> Entry:
        """Return the rest of the line, which is complete now."""
        if self.ordinal:
            return self._entry(stream, len(self.text), last=True)
        return Entry(stream, self.time, self.text)

    def give_up(self, stream: int) -> Entry:
        """Return the rest of a line that will never end."""
        return self._entry(stream, len(self.text), last=False)

    def _entry(self, stream: int, size: int, *, last: bool) -> Entry:
        self.id = self.id or secrets.token_hex(32)
        self.ordinal += 1
        line, self.text = self.text[:size], self.text[size:]
        return Entry(stream, self.time, line, Piece(self.id, self.ordinal, last))


class Assembler:
    """Turns records, in order, into entries. `open` is what it has to remember between two runs of the daemon."""

    def __init__(self, open_lines: dict[int, OpenLine] | None = None) -> None:
        self.open = dict(open_lines or {})
        self._last_time = b"1970-01-01T00:00:00.000000000"

    def feed(self, records: Iterable[bytes]) -> list[Entry]:
        """Take records without their line ends; return what can be sent."""
        entries: list[Entry] = []
        for raw in records:
            record = normal_record(raw, self._last_time)
            self._last_time = record[:TIME_END]
            stream = STDERR if record[KIND_START:].startswith(_STDERR_KIND) else STDOUT
            whole = record[FLAG : FLAG + 1] == b"F"
            if whole and stream not in self.open and len(record) - TEXT < LONGEST:
                entries.append(Entry(stream, record[:TIME_END], record[TEXT:]))
            else:
                entries.extend(self._extend(stream, record, whole=whole))
        return entries

    def _extend(self, stream: int, record: bytes, *, whole: bool) -> Iterator[Entry]:
        line = self.open.setdefault(stream, OpenLine())
        line.add(record[:TIME_END], record[TEXT:])
        yield from line.pieces(stream)
        if whole:
            yield self.open.pop(stream).end(stream)

    def flush(self) -> list[Entry]:
        """Return the lines whose ends will never come, as the container is over."""
        rest = [line.give_up(stream) for stream, line in sorted(self.open.items()) if line.text]
        self.open.clear()
        return rest
