"""A request's body that is still on its way, lent to a worker: it reads the client's socket itself.

So an upload's bytes pass through neither event loop nor pipe. The framing is HTTP/1.1's (RFC 9112, sections 6 and 7.1).
"""

import os
import re
import select
from collections.abc import Iterator
from dataclasses import dataclass

_READ = 1 << 18
_MAX_LINE = 4096
_MALFORMED = "malformed chunked encoding"
_CHUNK_HEAD = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?\r?\n")


@dataclass(frozen=True, slots=True)
class Lent:
    """`socket` is read by nobody else meanwhile; `early` has been read from it already. `length` None: in chunks."""

    socket: int
    early: bytes
    length: int | None


class BodyDamaged(Exception):
    """The framing makes no sense, or the client left before the end."""


class LentReader:
    """The worker's side: the plain bytes of a body, in one buffer that is used again and again."""

    def __init__(self, early: int, socket: int, length: int | None) -> None:
        """`early` is a descriptor of what has been read already. The socket may be non-blocking."""
        self._fds = [early, socket]
        self._poll = select.poll()
        self._poll.register(socket, select.POLLIN)
        self._buffer = bytearray(_READ)
        self._view = memoryview(self._buffer)
        self._pieces = self._sized(length) if length is not None else self._joined()

    def read(self) -> memoryview | bytes:
        """Return the next piece of the body, good until the next call; nothing at the end. Blocks.

        Raises BodyDamaged, OSError.
        """
        return next(self._pieces, b"")

    def _sized(self, left: int) -> Iterator[memoryview]:
        while left:
            piece = self._view[: min(self._receive(0), left)]
            left -= len(piece)
            yield piece

    def _joined(self) -> Iterator[memoryview]:
        """Yield the data of chunks: of all that are in the buffer, moved together, so that they are written at once."""
        chunks, start = _Chunks(), 0
        while not chunks.ended:
            end = self._receive(start)
            joined, used = self._join(chunks, end)
            if joined:
                yield self._view[:joined]
            start = end - used
            self._buffer[:start] = self._buffer[used:end]

    def _join(self, chunks: "_Chunks", end: int) -> tuple[int, int]:
        """Return how much data is at the beginning of the buffer now, and how many of its bytes are done with."""
        joined = at = 0
        while at < end and not chunks.ended:
            if size := min(chunks.left, end - at):
                if joined != at:
                    self._view[joined : joined + size] = self._view[at : at + size]
                chunks.left -= size
                joined += size
                at += size
                continue
            line = self._buffer.find(b"\n", at, end) + 1
            if not line:
                if end - at > _MAX_LINE:
                    raise BodyDamaged(_MALFORMED)
                break
            chunks.line(bytes(self._view[at:line]))
            at = line
        return joined, at

    def _receive(self, start: int) -> int:
        """Read more to where `start` bytes are; return how many there are then, never as many."""
        while self._fds:
            try:
                size = os.readv(self._fds[0], [self._view[start:]])
            except BlockingIOError:
                self._poll.poll()
                continue
            if size:
                return start + size
            del self._fds[0]
        raise BodyDamaged("unexpected EOF")


class _Chunks:
    """What the lines between the data say: `left` bytes of data come next."""

    def __init__(self) -> None:
        self.left = 0
        self.ended = False
        self._next = self._head

    def line(self, line: bytes) -> None:
        """Take a line. Raises BodyDamaged."""
        self._next(line)

    def _head(self, line: bytes) -> None:
        head = _CHUNK_HEAD.fullmatch(line)
        if head is None:
            raise BodyDamaged(_MALFORMED)
        self.left = int(head[1], 16)
        self._next = self._after_data if self.left else self._trailer

    def _after_data(self, line: bytes) -> None:
        if line.strip():
            raise BodyDamaged(_MALFORMED)
        self._next = self._head

    def _trailer(self, line: bytes) -> None:
        self.ended = not line.strip()
