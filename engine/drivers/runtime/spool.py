"""Output that a client has yet to read: in memory up to a bound, beyond it in unlinked files, up to a cap.

First in, first out. While anything lies in a file, what arrives goes behind it. Files are written and read in threads,
in large pieces; each is given up when it has been read.
"""

import asyncio
import contextlib
import os
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Chunk = tuple[int, bytes]
_SEGMENT = 32 << 20
_CAP = 1 << 30


class SpoolFull(Exception):
    """A client is further behind than the spool can hold."""


@dataclass(slots=True)
class _Segment:
    """One file: `index` has the stream and length of each piece that was not read yet, from `position` on."""

    fd: int
    index: deque[tuple[int, int]] = field(default_factory=deque)
    position: int = 0
    size: int = 0

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Blocks; call in a thread."""
        data = b"".join(chunk for _, chunk in chunks)
        written = 0
        while written < len(data):
            written += os.pwrite(self.fd, memoryview(data)[written:], self.size + written)
        self.size += len(data)

    def read(self, length: int) -> bytes:
        """Blocks; call in a thread."""
        return os.pread(self.fd, length, self.position)


class Spool:
    """The queue of one console."""

    def __init__(self, directory: Path, *, bound: int = 2 << 20, cap: int = _CAP) -> None:
        self._directory = directory
        self._bound = bound
        self._cap = cap
        self._head: deque[Chunk] = deque()
        self._tail: deque[Chunk] = deque()
        self._segments: deque[_Segment] = deque()
        self._head_size = 0
        self._tail_size = 0
        self._lock = asyncio.Lock()
        self._closed = False
        self.spilling = False

    def put(self, chunk: Chunk) -> None:
        """Append what has arrived."""
        if self.spilling:
            self._tail.append(chunk)
            self._tail_size += len(chunk[1])
        else:
            self._head.append(chunk)
            self._head_size += len(chunk[1])

    @property
    def full(self) -> bool:
        """Whether memory holds as much as it should: time to wait for the client, or to spill."""
        return (self._tail_size if self.spilling else self._head_size) >= self._bound

    @property
    def drained(self) -> bool:
        """Whether the client is catching up."""
        return not self.spilling and self._head_size * 2 <= self._bound

    @property
    def empty(self) -> bool:
        """Whether everything has been taken."""
        return not (self._head or self._tail or self._segments)

    def take(self) -> Chunk | None:
        """Return the next piece if it is in memory."""
        if not self._head:
            return None
        chunk = self._head.popleft()
        self._head_size -= len(chunk[1])
        return chunk

    async def spill(self) -> None:
        """Move what has arrived lately to a file. Raises SpoolFull, OSError."""
        self.spilling = True
        async with self._exclusive():
            chunks, self._tail, self._tail_size = tuple(self._tail), deque(), 0
            if not chunks or self._closed:
                return
            if sum(s.size for s in self._segments) >= self._cap:
                raise SpoolFull
            segment = await self._writable()
            await asyncio.to_thread(segment.write, chunks)
            segment.index.extend((stream, len(data)) for stream, data in chunks)

    async def _writable(self) -> _Segment:
        if not self._segments or self._segments[-1].size >= _SEGMENT:
            self._segments.append(_Segment(await asyncio.to_thread(_unlinked_file, self._directory)))
        return self._segments[-1]

    async def fetch(self) -> None:
        """Bring the next pieces from the files, or else from behind them, into reach of `take`. Raises OSError."""
        async with self._exclusive():
            if self._closed or self._head:
                return
            while self._segments and not self._segments[0].index:
                os.close(self._segments.popleft().fd)
            if self._segments:
                await self._load(self._segments[0])
            else:
                self._head, self._tail = self._tail, deque()
                self._head_size, self._tail_size = self._tail_size, 0
                self.spilling = False

    async def _load(self, segment: _Segment) -> None:
        lengths: list[tuple[int, int]] = []
        total = 0
        while segment.index and total < self._bound // 2:
            lengths.append(segment.index.popleft())
            total += lengths[-1][1]
        data = await asyncio.to_thread(segment.read, total)
        segment.position += total
        start = 0
        for stream, length in lengths:
            self._head.append((stream, data[start : start + length]))
            start += length
        self._head_size += total

    @contextlib.asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        try:
            async with self._lock:
                yield
        finally:
            if self._closed:
                self.close()

    def close(self) -> None:
        """Drop everything; what a thread is still busy with, when it is done."""
        self._closed = True
        if self._lock.locked():
            return
        self._head.clear()
        self._tail.clear()
        while self._segments:
            os.close(self._segments.pop().fd)


def _unlinked_file(directory: Path) -> int:
    """Blocks; call in a thread."""
    with tempfile.TemporaryFile(dir=directory) as file:
        return os.dup(file.fileno())
