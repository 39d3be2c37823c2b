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
    """The worker's side: the plain bytes of a body."""

    def __init__(self, early: int, socket: int, length: int | None) -> None:
        """`early` is a descriptor of what has been read already. The socket may be non-blocking."""
        self._raw = _Raw(early, socket)
        self._pieces = self._chunks() if length is None else self._sized(length)

    def read(self) -> memoryview | bytes:
        """Return the next piece of the body, good until the next call; nothing at the end. Blocks.

        Raises BodyDamaged, OSError.
        """
        return next(self._pieces, b"")

    def _chunks(self) -> Iterator[memoryview]:
        while size := self._size():
            yield from self._sized(size)
            if self._raw.line().strip():
                raise BodyDamaged("malformed chunked encoding")
        while self._raw.line().strip():
            pass  # Trailers.

    def _size(self) -> int:
        head = _CHUNK_HEAD.fullmatch(self._raw.line())
        if head is None:
            raise BodyDamaged("malformed chunked encoding")
        return int(head[1], 16)

    def _sized(self, left: int) -> Iterator[memoryview]:
        while left:
            piece = self._raw.some(left)
            left -= len(piece)
            yield piece


class _Raw:
    """What the client sends, as it comes, in one buffer that is used again and again: nothing is allocated for it."""

    def __init__(self, early: int, socket: int) -> None:
        self._fds = [early, socket]
        self._poll = select.poll()
        self._poll.register(socket, select.POLLIN)
        self._buffer = bytearray(_READ)
        self._view = memoryview(self._buffer)
        self._at = self._end = 0

    def some(self, limit: int) -> memoryview:
        """Return up to `limit` bytes, at least one, good until the next call."""
        if self._at == self._end:
            self._at = self._end = 0
            self._receive()
        piece = self._view[self._at : min(self._at + limit, self._end)]
        self._at += len(piece)
        return piece

    def line(self) -> bytes:
        """Return all up to the next line feed."""
        while (end := self._buffer.find(b"\n", self._at, self._end) + 1) == 0:
            self._end -= self._at
            if self._end > _MAX_LINE:
                raise BodyDamaged("malformed chunked encoding")
            self._buffer[: self._end] = self._buffer[self._at : self._at + self._end]
            self._at = 0
            self._receive()
        line = bytes(self._view[self._at : end])
        self._at = end
        return line

    def _receive(self) -> None:
        """Read more behind what is there."""
        while self._fds:
            try:
                size = os.readv(self._fds[0], [self._view[self._end :]])
            except BlockingIOError:
                self._poll.poll()
                continue
            if size:
                self._end += size
                return
            del self._fds[0]
        raise BodyDamaged("unexpected EOF")
