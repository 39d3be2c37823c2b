"""Where one HTTP request ends and the next bytes begin, found before aiohttp's parser sees them.

aiohttp drops or misreads what follows a request that asks for an upgrade other than to WebSocket, and what follows one
without an `Upgrade` header that Docker hijacks all the same. So the bytes are cut here: the parser gets each message by
itself, and what follows a *takeable* one (attach, exec start, session, grpc) is held back until its handler has either
taken the connection or answered. So is the body of a *lendable* one (archives into containers). Owns the cutting only;
heads and chunks that make no sense go through uncut, and the parser refuses them.
"""

import re
from typing import NamedTuple

_MAX_HEAD = 64 << 10
_MAX_CHUNK_LINE = 4096
_HEADER = re.compile(rb"\r\n(content-length|transfer-encoding):[ \t]*([^\r\n]*)", re.IGNORECASE)
_TAKEABLE = re.compile(
    rb"POST (?:https?://[^/ ]*)?(?:/v[0-9.]+)?/"
    rb"(?:(?P<raw>containers/[^ ?]+/attach|session|grpc)|exec/[^ ?]+/start)[ ?]"
)
# Uploads whose body a worker may read from the socket itself.
_LENDABLE = re.compile(rb"PUT (?:https?://[^/ ]*)?(?:/v[0-9.]+)?/containers/[^ ?]+/archive[ ?]")


def streams_input(method: str, path: str) -> bool:
    """Tell whether what follows a request's head is no body but the input of a stream."""
    found = _TAKEABLE.match(f"{method} {path} ".encode())
    return found is not None and found["raw"] is not None


class Cut(NamedTuple):
    """What the parser may have now, what remains, and whether what remains is behind a takeable request."""

    now: bytes
    rest: bytes
    takeable: bool = False


class ChunkScanner:
    """Finds the end of a chunked body (RFC 9112, section 7.1)."""

    def __init__(self) -> None:
        self._line = b""
        self._skip = 0
        self._trailer = False

    def end(self, data: bytes) -> int:
        """Return how many bytes of `data` belong to the body, when it ends there, else -1. Raises ValueError."""
        position = 0
        while position < len(data):
            if self._skip:
                step = min(self._skip, len(data) - position)
                self._skip -= step
                position += step
                continue
            newline = data.find(b"\n", position)
            if newline < 0:
                self._line += data[position:]
                break
            line = (self._line + data[position:newline]).strip()
            self._line, position = b"", newline + 1
            if self._ends(line):
                return position
        if len(self._line) > _MAX_CHUNK_LINE:
            raise ValueError("a chunk's head is too long")
        return -1

    def _ends(self, line: bytes) -> bool:
        if self._trailer:
            return not line
        size = int(line.partition(b";")[0], 16)
        self._skip = size + 2 if size else 0
        self._trailer = not size
        return False


class Framing:
    """The cutting of one connection's bytes."""

    def __init__(self) -> None:
        self._head = b""
        self._remaining = 0
        self._chunks: ChunkScanner | None = None
        self._takeable = False
        self._transparent = False
        self.lendable = False

    @property
    def idle(self) -> bool:
        """Whether a request may begin with the next byte."""
        return not (self._head or self._remaining or self._chunks or self._transparent)

    @property
    def body_length(self) -> int | None:
        """How long the body is that follows; None where it comes in chunks."""
        return None if self._chunks is not None else self._remaining

    def cut(self, data: bytes) -> Cut:
        """Take what came from the connection. Call again with the rest, where it is not behind a takeable request."""
        if self._transparent:
            return Cut(data, b"")
        if self._remaining:
            return self._cut_body(data)
        if self._chunks is not None:
            return self._cut_chunks(data)
        return self._cut_head(data)

    def _cut_head(self, data: bytes) -> Cut:
        searched = max(0, len(self._head) - 3)
        head = self._head + data if self._head else data
        end = head.find(b"\r\n\r\n", searched) + 4
        if end < 4:
            if len(head) > _MAX_HEAD:
                return self._give_up(head)
            self._head = head
            return Cut(b"", b"")
        self._head = b""
        return self._begin(head[:end], head[end:])

    def _begin(self, head: bytes, rest: bytes) -> Cut:
        takeable = _TAKEABLE.match(head)
        self.lendable = False
        self._takeable = takeable is not None
        headers = {name.lower(): value for name, value in _HEADER.findall(head)}
        if len(headers) > 1:
            return self._give_up(head + rest)
        length = headers.get(b"content-length", b"0").strip()
        if not length.isdigit():
            return self._give_up(head + rest)
        self._remaining = int(length)
        if b"transfer-encoding" in headers and not (takeable and takeable["raw"]):
            self._chunks = ChunkScanner()
        if _LENDABLE.match(head) and (self._remaining or self._chunks):
            self.lendable = True
            return Cut(head, rest, takeable=True)
        # The body of a chunked attach is the input itself; it stays with what follows, and is never parsed.
        return Cut(head, rest, self._takeable and not self._remaining and self._chunks is None)

    def _cut_body(self, data: bytes) -> Cut:
        now, rest = data[: self._remaining], data[self._remaining :]
        self._remaining -= len(now)
        return Cut(now, rest, self._takeable and not self._remaining)

    def _cut_chunks(self, data: bytes) -> Cut:
        scanner = self._chunks or ChunkScanner()
        try:
            end = scanner.end(data)
        except ValueError:
            return self._give_up(data)
        if end < 0:
            return Cut(data, b"")
        self._chunks = None
        return Cut(data[:end], data[end:], self._takeable)

    def _give_up(self, data: bytes) -> Cut:
        self._transparent, self._head, self._chunks, self._remaining = True, b"", None, 0
        return Cut(data, b"")
