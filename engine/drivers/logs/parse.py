"""conmon's log format to output: `2026-11-24T20:12:42.642034290+00:00 stdout F text`, one record per line.

`P` in the place of `F` is a part of a line whose end comes in a later record of the same stream. All fields before the
text have a fixed width, so a block of records is cut with slices: about ten million records a second. Source: conmon,
`src/ctr_logging.c`. Pure.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from engine.drivers.logs.options import STDERR, STDOUT, LogChunk, LogOptions

_SECOND = 1_000_000_000
_MOST_HELD = 16 << 10
# Where the parts of a record are: time, zone, stream and flag, text.
TIME_END, KIND_START, FLAG, TEXT = 29, 35, 43, 45
_KINDS = {
    b" stdout F ": (STDOUT, True),
    b" stdout P ": (STDOUT, False),
    b" stderr F ": (STDERR, True),
    b" stderr P ": (STDERR, False),
}
_NORMAL = frozenset(b"+00:00" + kind for kind in _KINDS)
_RECORD = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{9})(Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP])[^ ]* ?(.*)", re.DOTALL
)
_EPOCH = b"1970-01-01T00:00:00.000000000"


def stamp(instant: int) -> bytes:
    """Return an instant as records have it, without the zone: such stamps compare like the instants."""
    seconds, nanos = divmod(max(instant, 0), _SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{nanos:09d}".encode()


def normal_record(record: bytes, last: bytes) -> bytes:
    """Return a record with its time in UTC. What is no record is shown as it is, with the time `last`."""
    if record[TIME_END:TEXT] in _NORMAL:
        return record
    found = _RECORD.fullmatch(record)
    if found is None:
        return last + b"+00:00 stdout F " + record
    second, fraction, zone, stream, flag, text = found.groups()
    instant = datetime.fromisoformat((second + zone.replace(b"Z", b"+00:00")).decode()).astimezone(UTC)
    return b"%b+00:00 %b %b %b" % (instant.strftime("%Y-%m-%dT%H:%M:%S").encode() + fraction, stream, flag, text)


class Parser:
    """Turns the bytes of a log, fed in order, into chunks."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._since = stamp(options.since) if options.since else b""
        self._until = stamp(options.until) if options.until else b""
        self._wanted = {STDOUT: options.stdout, STDERR: options.stderr}
        self._by_line = options.follow and options.frame is not None
        self._details = options.details.encode()
        self._prefixed = options.timestamps or bool(self._details)
        self._open = {STDOUT: False, STDERR: False}
        # Clients take a frame for a line: where there are frames, the beginning of a line waits for its end.
        self._holds = options.frame is not None
        self._held = {STDOUT: b"", STDERR: b""}
        self._carry = b""
        self._last = _EPOCH

    def feed(self, data: bytes) -> list[LogChunk]:
        """Take the next bytes; return what they show. A record without its end waits for more."""
        block = self._carry + data if self._carry else data
        end = block.rfind(b"\n")
        if end < 0:
            self._carry = block
            return []
        self._carry = block[end + 1 :]
        if self._is_outside(block, end):
            return []
        return self._output(self._runs(self._selected(block[:end].split(b"\n"))))

    def rest(self) -> list[LogChunk]:
        """Return beginnings of lines whose ends will not come any more."""
        held, self._held = self._held, dict.fromkeys(self._held, b"")
        return self._output((stream, [text]) for stream, text in held.items() if text)

    def _is_outside(self, block: bytes, end: int) -> bool:
        """Tell from the last record's time that a whole block is older than what is asked for, without cutting it."""
        if not self._since:
            return False
        last = block[block.rfind(b"\n", 0, end) + 1 : end]
        return last[TIME_END:TEXT] in _NORMAL and last[:TIME_END] < self._since

    def _selected(self, records: list[bytes]) -> list[bytes]:
        if not {r[TIME_END:TEXT] for r in records} <= _NORMAL:
            records = [self._normal(r) for r in records]
        if self._since:
            records = [r for r in records if r[:TIME_END] >= self._since]
        if self._until:
            records = [r for r in records if r[:TIME_END] <= self._until]
        return records

    def _normal(self, record: bytes) -> bytes:
        record = normal_record(record, self._last)
        self._last = record[:TIME_END]
        return record

    def _output(self, runs: Iterable[tuple[int, Sequence[bytes]]]) -> list[LogChunk]:
        frame = self._options.frame
        if frame is None:
            return [LogChunk(stream, data) for stream, lines in runs if (data := b"".join(lines))]
        framed = b"".join(frame(stream, line) for stream, lines in runs for line in lines if line)
        return [LogChunk(0, framed)] if framed else []

    def _runs(self, records: list[bytes]) -> Iterator[tuple[int, Sequence[bytes]]]:
        """Return the output of consecutive records of one kind: each line, or all of them in one piece."""
        kinds = {r[KIND_START:TEXT] for r in records}
        groups = [(kinds.pop(), records)] if len(kinds) == 1 else itertools.groupby(records, _kind)
        for kind, group in groups:
            stream, whole = _KINDS[kind]
            if self._wanted[stream]:
                yield stream, self._lines(stream, list(group)) if whole else [self._parts(stream, list(group))]

    def _lines(self, stream: int, records: list[bytes]) -> Sequence[bytes]:
        """Return whole lines; the first one may be the end of one whose beginning has been shown."""
        continued, self._open[stream] = self._open[stream], False
        texts = self._prefix(records) if self._prefixed else [r[TEXT:] for r in records]
        if continued:
            texts[0] = self._held[stream] + records[0][TEXT:]
            self._held[stream] = b""
        return [t + b"\n" for t in texts] if self._by_line else [b"\n".join(texts) + b"\n"]

    def _parts(self, stream: int, records: list[bytes]) -> bytes:
        """Return the beginning of a line, or more of it, where it does not wait for its end."""
        continued, self._open[stream] = self._open[stream], True
        first = records[0][TEXT:] if continued or not self._prefixed else self._prefix(records[:1])[0]
        text = self._held[stream] + first + b"".join([r[TEXT:] for r in records[1:]])
        held = self._holds and len(text) < _MOST_HELD
        self._held[stream] = text if held else b""
        return b"" if held else text

    def _prefix(self, records: list[bytes]) -> list[bytes]:
        details = self._details
        if not self._options.timestamps:
            return [details + r[TEXT:] for r in records]
        between = b"Z " + details
        return [r[:TIME_END] + between + r[TEXT:] for r in records]


def _kind(record: bytes) -> bytes:
    return record[KIND_START:TEXT]
