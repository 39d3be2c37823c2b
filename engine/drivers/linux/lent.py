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
        """Return the next piece of the body; nothing at the end. Raises BodyDamaged, OSError. Blocks."""
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
    """What the client sends, as it comes."""

    def __init__(self, early: int, socket: int) -> None:
        self._fds = [early, socket]
        self._poll = select.poll()
        self._poll.register(socket, select.POLLIN)
        self._data = b""
        self._at = 0

    def some(self, limit: int) -> memoryview:
        """Return up to `limit` bytes, at least one."""
        if self._at == len(self._data):
            self._data, self._at = self._received(), 0
        piece = memoryview(self._data)[self._at : self._at + limit]
        self._at += len(piece)
        return piece

    def line(self) -> bytes:
        """Return all up to the next line feed."""
        while not (end := self._data.find(b"\n", self._at) + 1):
            rest, self._at = self._data[self._at :], 0
            if len(rest) > _MAX_LINE:
                raise BodyDamaged("malformed chunked encoding")
            self._data = rest + self._received()
        line, self._at = self._data[self._at : end], end
        return line

    def _received(self) -> bytes:
        while self._fds:
            try:
                data = os.read(self._fds[0], _READ)
            except BlockingIOError:
                self._poll.poll()
                continue
            if data:
                return data
            del self._fds[0]
        raise BodyDamaged("unexpected EOF")
