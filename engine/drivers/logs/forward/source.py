"""A log as packets for a collector, from where the last daemon stopped: at most some hundred kilobytes at a time.

The position is kept beside the log, in a directory of its own: what watches the log is not woken by it.
"""

import contextlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.drivers.logs.files import LogSequence, Mark
from engine.drivers.logs.forward.encoder import Encoder
from engine.drivers.logs.forward.entries import Assembler, Entry, OpenLine
from engine.drivers.logs.parse import TIME_END

_BLOCK = 32 << 10


class _Position(msgspec.Struct):
    """How far a log has been delivered: a mark, and the lines whose beginnings are before it.

    `time` is that of the last record: where the mark is gone, as its file has been cut, younger records follow.
    """

    head: bytes = b""
    offset: int = 0
    time: bytes = b""
    open: dict[int, OpenLine] = {}


@dataclass(frozen=True, slots=True)
class Batch:
    """Packets that go out together, and the position behind them, as it is written."""

    packets: Sequence[bytes]
    position: bytes


@dataclass(slots=True)
class _Backlog:
    """What had piled up at some moment: `left` bytes of records are still to be read, of messages `room` may go out."""

    left: int
    room: int

    def kept(self, read: int, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return those of the entries, from `read` bytes of records, that still have room: the older ones."""
        self.left -= read
        for count, entry in enumerate(entries):
            if self.room <= 0:
                return entries[:count]
            self.room -= len(entry.line)
        return entries


class Source:
    """Reads a log. All methods block and may wait for each other; call them in a thread."""

    def __init__(self, log: Path, position: Path, encoder: Encoder) -> None:
        self._log = log
        self._position = position
        self._encoder = encoder
        self._sequence: LogSequence | None = None
        self._assembler = Assembler()
        self._carry = b""
        self._mark: Mark | None = None
        self._time, self._known_time = b"", b""
        self._backlog: _Backlog | None = None
        self._lock = threading.Lock()
        self._closed = False

    def next(self, limit: int = 0) -> Batch | None:
        """Return the next packets, None where there are no more for now. Raises OSError.

        Where more than `limit` bytes of messages have piled up, the oldest ones that make up so many are given, and the
        younger ones are dropped, as by a full buffer (moby, `daemon/logger/ring.go`). 0: none is.
        """
        with self._lock:
            while not self._closed:
                self._look_back(limit)
                data = self._opened().read(_BLOCK)
                if not data:
                    self._backlog = None
                    return None
                entries = self._entries(data)
                kept = self._backlog.kept(len(data), entries) if self._backlog else entries
                if entries:
                    return self._batch(kept)
        return None

    def _look_back(self, limit: int) -> None:
        if self._backlog is not None and self._backlog.left <= 0:
            self._backlog = None
        if limit and self._backlog is None and (left := self._opened().left()) > limit:
            self._backlog = _Backlog(left, limit)

    def rest(self) -> Batch | None:
        """Return what is left of lines that will never end: the container is over."""
        with self._lock:
            entries = self._assembler.flush()
            return self._batch(entries) if entries else None

    def hold(self) -> None:
        """Open all that there is to read: the files are about to be removed."""
        with self._lock:
            if not self._closed:
                self._opened().hold()

    def save(self, position: bytes) -> None:
        """Write a position down, so that any later daemon goes on there."""
        with contextlib.suppress(FileNotFoundError):  # The container is gone.
            self._position.parent.mkdir(mode=0o700, exist_ok=True)
            fresh = self._position.with_suffix(".new")
            fresh.write_bytes(position)
            fresh.replace(self._position)

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._closed = True
            if self._sequence is not None:
                self._sequence.close()

    def _opened(self) -> LogSequence:
        if self._sequence is None:
            known = self._load()
            self._mark = Mark(known.head, known.offset) if known.head else None
            self._assembler = Assembler(known.open)
            self._sequence = LogSequence(self._log, start=self._mark, follow=True)
            self._time = known.time
            self._known_time = known.time if self._sequence.mark() != self._mark else b""
        return self._sequence

    def _load(self) -> _Position:
        """A position that cannot be read is none: lines may come twice, but none is missing."""
        try:
            return msgspec.json.decode(self._position.read_bytes(), type=_Position)
        except (OSError, msgspec.DecodeError):
            return _Position()

    def _entries(self, data: bytes) -> list[Entry]:
        block = self._carry + data
        end = block.rfind(b"\n")
        self._carry = block[end + 1 :]
        records = block[:end].split(b"\n") if end >= 0 else []
        if self._known_time:
            records = [record for record in records if record[:TIME_END] > self._known_time]
            self._known_time = b"" if records else self._known_time
        if records:
            self._time = records[-1][:TIME_END]
        return self._assembler.feed(records)

    def _batch(self, entries: Sequence[Entry]) -> Batch:
        self._mark = self._opened().mark(len(self._carry)) or self._mark
        head, offset = self._mark or (b"", 0)
        position = _Position(head, offset, self._time, self._assembler.open)
        return Batch(self._encoder.encode(entries), msgspec.json.encode(position))


def is_behind(position: Path, log: Path) -> bool:
    """Tell whether a log may have what has not been delivered. Blocks; call in a thread."""
    try:
        newest = log.stat().st_size
        known = msgspec.json.decode(position.read_bytes(), type=_Position)
        with log.open("rb") as file:
            head = os.pread(file.fileno(), len(known.head), 0)
    except FileNotFoundError:
        return log.exists()
    except (OSError, msgspec.DecodeError):
        return True
    return (head, newest) != (known.head, known.offset) or bool(known.open)
