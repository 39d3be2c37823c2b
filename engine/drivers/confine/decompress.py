"""The bytes behind a compressed stream, in bounded pieces, whatever the compression (told by its first bytes).

gzip, zstd, bzip2, xz, or none. All decompressors are loaded before a tree is seen: none is ever looked up in one
(CVE-2019-14271, CVE-2026-41567). Memory is bounded by the window sizes below, not by what the stream unfolds to.
"""

import bz2
import lzma
import os
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import zstandard
from isal import igzip_lib

from engine.drivers.confine.failures import ArchiveRefused

CHUNK = 1 << 18
_READ = 1 << 17
_ZSTD_WINDOW = 1 << 27  # As the zstd program without --long.
_XZ_MEMORY = 128 << 20


class _Decompressor(Protocol):
    """What Python's and isal's decompressor objects have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def _gzip() -> Any:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


_FORMATS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b"\x1f\x8b\x08", _gzip),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", _xz),
)
_ISAL_ERROR: Any = igzip_lib.IsalError  # Its types call the class an instance.
_DAMAGED: tuple[type[Exception], ...] = (
    _ISAL_ERROR,
    zstandard.ZstdError,
    lzma.LZMAError,
    EOFError,
    ValueError,
)
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"


Piece = bytes | memoryview


class Source:
    """Bytes that a function gives, asked for a number of them: fewer or more, none at the end."""

    def __init__(self, following: Callable[[int], Piece]) -> None:
        self._next = following
        self._head = b""

    def peek(self, size: int) -> bytes:
        """Return the first `size` bytes, fewer at the end, without consuming them."""
        while len(self._head) < size and (data := self._next(size - len(self._head))):
            self._head += data
        return self._head[:size]

    def read(self, size: int = _READ) -> bytes:
        """Return about `size` bytes, none at the end."""
        return bytes(self.piece(size))

    def piece(self, size: int) -> Piece:
        """Return the same without a copy, as it comes."""
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._next(size)


def chunks(fd: int) -> Iterator[Piece]:
    """Yield the uncompressed bytes behind a descriptor: to its end; it may be a pipe that is still being fed.

    In pieces of at most CHUNK. Raises ArchiveRefused. Blocks.
    """
    return plain(Source(lambda size: os.read(fd, size)))


def plain(source: Source) -> Iterator[Piece]:
    """Yield the uncompressed bytes. Raises ArchiveRefused. Blocks."""
    head = source.peek(6)
    for magic, make in _FORMATS:
        if head.startswith(magic):
            return _checked(_members(source, make))
    if head.startswith(_ZSTD) or (head[1:4] == _ZSTD_SKIPPABLE and head[0] >> 4 == 5):
        return _checked(_zstd(source))
    return iter(lambda: source.piece(CHUNK), b"")


def _checked(pieces: Iterator[bytes]) -> Iterator[Piece]:
    try:
        yield from pieces
    except _DAMAGED as error:
        raise ArchiveRefused(f"the compressed stream is damaged: {error}") from error


def _members(source: Source, make: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """One compressed member after the other, as gzip(1) joins them; zero bytes may pad the end."""
    decompressor, data = make(), source.read()
    while True:
        if piece := decompressor.decompress(data, CHUNK):
            yield piece
        if decompressor.eof:
            data = _next_member(source, decompressor.unused_data)
            if not data:
                return
            decompressor = make()
        elif decompressor.needs_input:
            data = source.read()
            if not data:
                raise ArchiveRefused("the compressed stream is damaged: unexpected EOF")
        else:
            data = b""


def _next_member(source: Source, rest: bytes) -> bytes:
    data = rest.lstrip(b"\0")
    while not data and (more := source.read()):
        data = more.lstrip(b"\0")
    return data


def _zstd(source: Source) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    # The binding asks only for `read`; its types ask for a whole file object.
    reader: Any = decompressor.stream_reader(source, read_size=_READ, read_across_frames=True)  # type: ignore[arg-type]
    while piece := reader.read(CHUNK):
        yield piece
