"""A tar stream to entries and their data, in one pass, in bounded memory. Decides nothing about names."""

from collections.abc import Callable, Iterator

from engine.drivers.confine import sparse
from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.confine.tar_header import (
    BLOCK,
    DIRECTORY,
    GNU_LONG_LINK,
    GNU_LONG_NAME,
    GNU_SPARSE,
    HEADER_ONLY,
    PAX,
    PAX_GLOBAL,
    REGULAR,
    Entry,
    apply_pax,
    parse,
    pax_records,
)

_MAX_EXTENSION = 1 << 20  # Bytes of PAX headers and long names before one entry (Go's archive/tar: of each).
_EXTENSIONS = frozenset({GNU_LONG_LINK, GNU_LONG_NAME, PAX, PAX_GLOBAL})
_ZERO = bytes(BLOCK)


class _Stream:
    """Pieces of bytes, read as blocks."""

    __slots__ = ("_at", "_next", "_piece")

    def __init__(self, following: Callable[[], bytes | memoryview]) -> None:
        self._next = following
        self._piece: bytes | memoryview = b""
        self._at = 0

    def header(self) -> bytes:
        """Return the next block; b"" where the stream ends before it."""
        at = self._at
        block = bytes(self._piece[at : at + BLOCK])
        if len(block) == BLOCK:
            self._at = at + BLOCK
            return block
        if not block and not self._refill():
            return b""
        return self.read(BLOCK)

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        return b"".join(map(bytes, self.pieces(size)))

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Yield exactly `size` bytes, without copying them: each piece is good until the next one."""
        while size:
            piece, at = self._piece, self._at
            length = min(len(piece) - at, size)
            if not length:
                if not self._refill():
                    raise ArchiveRefused("the archive is damaged: unexpected EOF")
                continue
            self._at = at + length
            size -= length
            yield memoryview(piece)[at : at + length]

    def skip(self, size: int, padding: int) -> None:
        """Pass over `size` bytes, and over those that fill the last block, which an archive may end without.

        Go's archive/tar takes such a one, and so dockerd does.
        """
        if size + padding <= len(self._piece) - self._at:
            self._at += size + padding
            return
        for _ in self.pieces(size):
            pass
        while padding and (self._at < len(self._piece) or self._refill()):
            length = min(len(self._piece) - self._at, padding)
            self._at += length
            padding -= length

    def _refill(self) -> bool:
        self._piece, self._at = self._next(), 0
        return bool(self._piece)

    def drain(self) -> None:
        """Read to the very end: what follows the archive is part of the layer's digest."""
        while self._refill():
            pass


class TarReader:
    """Iterate over it for the entries; `data` belongs to the one yielded last, and need not be read."""

    def __init__(self, following: Callable[[], bytes | memoryview]) -> None:
        """`following` returns the next piece of the archive, b"" at its end."""
        self._stream = _Stream(following)
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        """Yield each entry. Raises ArchiveRefused."""
        while (entry := self._entry()) is not None:
            yield entry
            self._stream.skip(self._left, self._padding)
            self._left = self._padding = 0
        self._stream.drain()

    def data(self, size: int) -> Iterator[memoryview]:
        """Yield the next `size` bytes of the present entry's data."""
        self._left -= size
        return self._stream.pieces(size)

    def _entry(self) -> Entry | None:
        """Return the next entry with its extensions applied, None at the end."""
        records: list[tuple[bytes, bytes]] = []
        name = link = b""
        extended = 0
        while block := self._block():
            entry = parse(block)
            if entry.kind not in _EXTENSIONS:
                return self._complete(entry, block, records, (name, link))
            extended += entry.size
            data = self._extension(entry.size, extended)
            if entry.kind == PAX:
                records += pax_records(data)
            elif entry.kind == GNU_LONG_NAME:
                name = data.partition(b"\0")[0]
            elif entry.kind == GNU_LONG_LINK:
                link = data.partition(b"\0")[0]
        return None

    def _block(self) -> bytes:
        """Return the next header block; b"" at the archive's end: two blocks of zeros, or the stream's end."""
        block = self._stream.header()
        if block != _ZERO:
            return block
        if self._stream.header() not in (_ZERO, b""):
            raise ArchiveRefused("invalid tar header: a lone block of zeros")
        return b""

    def _extension(self, size: int, total: int) -> bytes:
        if total > _MAX_EXTENSION:
            raise ArchiveRefused("invalid tar header: extension too large")
        data = self._stream.read(size)
        self._stream.skip(0, -size % BLOCK)
        return data

    def _complete(
        self, entry: Entry, block: bytes, records: list[tuple[bytes, bytes]], long: tuple[bytes, bytes]
    ) -> Entry:
        entry.name = long[0] or entry.name
        entry.link = long[1] or entry.link
        if records:
            apply_pax(entry, records)
        if entry.kind in HEADER_ONLY:
            entry.size = entry.real_size = 0
        self._padding = -entry.size % BLOCK
        if entry.kind == GNU_SPARSE:
            sparse.old_gnu(entry, block, self._stream.read)
            entry.kind = REGULAR
        elif records and entry.kind == REGULAR:
            sparse.pax(entry, records, self._stream.read)
        if entry.kind == REGULAR and entry.name.endswith(b"/"):
            entry.kind = DIRECTORY
        self._left = entry.size
        return entry
