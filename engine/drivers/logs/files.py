"""The files of one log as one sequence of bytes: `LOG.3.gz`, `LOG.2`, `LOG.1`, `LOG`, oldest first.

A file is what its inode is: names move while the rotator works, and a file that is about to be rotated has two. Reading
goes on in files that are open even when their names are gone. Everything here blocks; use it in a thread.
"""

import contextlib
import os
import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from engine.drivers.logs.parse import FLAG, TIME_END
from engine.drivers.logs.shrink import PACKED, beginning, unpacked

Identity = tuple[int, int]
_ATTEMPTS = 20
_TAIL_BLOCK, _TAIL_BLOCK_MAX = 16 << 10, 256 << 10


class Mark(NamedTuple):
    """A place in a log: a file, known by the time of its first record whatever its name is by now, and bytes in it."""

    head: bytes
    offset: int


@dataclass(slots=True)
class OpenLog:
    """An open file, how far it has been read, and where reading ends (None: where the file ends).

    `packed`: what it has is compressed, and is unpacked when it is needed, to a file without a name in `directory`.
    """

    fd: int
    identity: Identity
    directory: Path
    packed: bool = False
    position: int = 0
    limit: int | None = None

    def unpack(self) -> None:
        """Make the bytes readable."""
        if self.packed:
            self.fd, self.packed = unpacked(self.fd, self.directory), False

    def end_here(self) -> None:
        """Read no further than what is there now. What is packed does not grow."""
        if not self.packed:
            self.limit = self.size()

    def read(self, size: int) -> bytes:
        """Return the next bytes, nothing at the end."""
        self.unpack()
        if self.limit is not None:
            size = min(size, self.limit - self.position)
        data = os.pread(self.fd, size, self.position) if size > 0 else b""
        self.position += len(data)
        return data

    def size(self) -> int:
        """Return the file's size in bytes."""
        self.unpack()
        return os.fstat(self.fd).st_size

    def last_time(self) -> bytes:
        """Return the time of the last record, nothing where there is none."""
        size = self.size()
        data = os.pread(self.fd, _TAIL_BLOCK_MAX, max(size - _TAIL_BLOCK_MAX, 0)).rstrip(b"\n")
        return data[data.rfind(b"\n") + 1 :][:TIME_END]

    def head(self) -> bytes:
        """Return the time of the first record, nothing where there is none."""
        head = beginning(self.fd, TIME_END) if self.packed else os.pread(self.fd, TIME_END, 0)
        return head if len(head) == TIME_END else b""


def rotated(path: Path) -> list[tuple[int, Path]]:
    """Return the numbered files of a log, the newest (1) first."""
    return [(number, name) for number, name in numbered(path) if not _is_double(name)]


def _is_double(name: Path) -> bool:
    """Tell whether a file is a compressed one whose plain form is still there."""
    return name.suffix == PACKED and name.with_suffix("").exists()


def numbered(path: Path) -> list[tuple[int, Path]]:
    """Return all numbered files, plain and compressed, the newest (1) first."""
    pattern = re.compile(re.escape(path.name) + r"\.([1-9][0-9]{0,5})(?:\.gz)?")
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 — names are all that is needed
    except FileNotFoundError:
        return []
    return sorted((int(m[1]), path.parent / m[0]) for m in map(pattern.fullmatch, names) if m)


def identity_of(path: Path) -> Identity | None:
    """Return what a name stands for, None where it stands for nothing."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _listing(path: Path) -> dict[Identity, Path]:
    """Return the files of a log, oldest first, each once."""
    found: dict[Identity, Path] = {}
    for name in [p for _, p in reversed(rotated(path))] + [path]:
        identity = identity_of(name)
        if identity is not None:
            found[identity] = name
    return found


def open_all(path: Path) -> list[OpenLog]:
    """Open the files of a log, oldest first, each once, even while their names move."""
    for _ in range(_ATTEMPTS):
        listing = _listing(path)
        opened = [o for name in listing.values() if (o := _open(name)) is not None]
        if [o.identity for o in opened] == list(listing) == list(_listing(path)):
            return opened
        close_all(opened)
    return [o for name in _listing(path).values() if (o := _open(name)) is not None]


def _open(path: Path) -> OpenLog | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    status = os.fstat(fd)
    return OpenLog(fd, (status.st_dev, status.st_ino), path.parent, packed=path.suffix == PACKED)


def close_all(logs: "deque[OpenLog] | list[OpenLog]") -> None:
    """Close files."""
    for log in logs:
        with contextlib.suppress(OSError):
            os.close(log.fd)


class LogSequence:
    """Reads a log from its beginning, its last lines or a mark, to its end; `follow`: and on, through rotations."""

    def __init__(self, path: Path, *, tail: int | None = None, start: Mark | None = None, follow: bool = False) -> None:
        self._path = path
        self._follow = follow
        opened = open_all(path) if start is None else _from_mark(open_all(path), start)
        for log in opened if not follow else opened[:-1]:
            log.end_here()
        self._files = deque(opened if tail is None else _last_lines(opened, tail))

    def read(self, size: int) -> bytes:
        """Return the next bytes, nothing where there are no more for now."""
        while self._files:
            data = self._files[0].read(size)
            if data:
                return data
            if len(self._files) == 1:
                if not (self._follow and self._advance(self._files[0])):
                    return b""
            else:
                os.close(self._files.popleft().fd)
        if self._follow and self._path.exists():
            self._files.extend(open_all(self._path))
            return self.read(size) if self._files else b""
        return b""

    def _advance(self, current: OpenLog) -> bool:
        """At the end of the newest file known: tell whether there is more, in it or behind it."""
        newest = identity_of(self._path)
        if newest == current.identity:
            if current.size() >= current.position:
                return False
            current.position = 0
            return True
        if newest is None or current.size() > current.position:
            return newest is not None
        self._files.extend(_behind(open_all(self._path), current))
        return len(self._files) > 1

    def mark(self, unused: int = 0) -> Mark | None:
        """Return the place that has been read to, without the last bytes; None where it cannot be told yet."""
        head = self._files[0].head() if self._files else b""
        return Mark(head, self._files[0].position - unused) if head else None

    def left(self) -> int:
        """Return about how many bytes there are to be read now; of what is packed and not open yet, as packed."""
        if not self._files:
            return 0
        left = sum((log.size() if log.limit is None else log.limit) - log.position for log in self._files)
        if self._follow and identity_of(self._path) != self._files[-1].identity:
            later = _behind(open_all(self._path), self._files[-1])
            left += sum(os.fstat(log.fd).st_size for log in later)
            close_all(later)
        return left

    def hold(self) -> None:
        """Open all that there is to read: the names are about to go."""
        known = {log.identity for log in self._files}
        for log in open_all(self._path):
            if log.identity in known or (known and log.head() < self._files[0].head()):
                close_all([log])
            else:
                self._files.append(log)
        self._follow = False

    def close(self) -> None:
        """Close the files."""
        close_all(self._files)
        self._files.clear()


def _behind(files: list[OpenLog], current: OpenLog) -> list[OpenLog]:
    """Keep the files that are younger than one that has been read, and may be there in another form or no more."""
    known = [i for i, log in enumerate(files) if log.identity == current.identity]
    last = b"" if known else current.last_time()
    kept = files[known[0] + 1 :] if known else [log for log in files if not log.head() or log.head() > last]
    close_all([log for log in files if log not in kept])
    return kept


def _from_mark(files: list[OpenLog], start: Mark) -> list[OpenLog]:
    """Keep what is behind a mark: its file, or where that is gone, all younger ones."""
    kept = [log for log in files if log.head() >= start.head or not log.head()]
    close_all([log for log in files if log not in kept])
    for log in kept:
        if log.head() == start.head and log.size() >= start.offset:
            log.position = start.offset
    return kept


def _last_lines(files: list[OpenLog], wanted: int) -> list[OpenLog]:
    """Set the position to the beginning of the last lines; close and leave out the files before it."""
    count = _LineCount(wanted)
    for index in reversed(range(len(files))):
        offset = count.seek(files[index])
        if offset is not None:
            close_all(files[:index])
            files[index].position = offset
            return files[index:]
    return files


class _LineCount:
    """Counts lines backwards. An unfinished line at the very end counts as one."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._at_end = True

    def seek(self, log: OpenLog) -> int | None:
        """Return where the wanted lines begin, None where they begin in an earlier file."""
        start = log.size() if log.limit is None else log.limit
        if self._wanted <= 0 and self._at_end:
            return start
        end, pending, block = -1, b"", _TAIL_BLOCK
        while start > 0:
            step, block = min(block, start), min(block * 2, _TAIL_BLOCK_MAX)
            start -= step
            data = os.pread(log.fd, step, start) + pending
            if end < 0:
                # What is behind the last line end has yet to be written.
                cut = data.rfind(b"\n")
                end, data = (start + cut + 1, data[:cut]) if cut >= 0 else (-1, data)
            pending, newline, data = data.partition(b"\n") if start > 0 else (b"", b"\n", data)
            if end < 0 or not newline:
                pending += newline + data
                continue
            offset = self._take(data.split(b"\n"), end)
            if offset is not None:
                return offset
            end = start + len(pending) + 1
        return None

    def _take(self, records: list[bytes], end: int) -> int | None:
        """Count records, the last of which ends at `end`; return where the first wanted line begins, if here."""
        if self._at_end:
            self._at_end = False
            self._wanted -= _is_part(records[-1])
        if len(records) <= self._wanted:
            self._wanted -= len(records) - sum(map(_is_part, records))
            return None
        for record in reversed(records):
            if not _is_part(record):
                if not self._wanted:
                    return end
                self._wanted -= 1
            end -= len(record) + 1
        return None


def _is_part(record: bytes) -> bool:
    return record[FLAG : FLAG + 1] == b"P"
