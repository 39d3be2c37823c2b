"""Decompression of a stream as it comes, in threads: gzip, zstd, bzip2, xz, or nothing, told by the first bytes."""

import asyncio
import bz2
import lzma
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import zstandard
from isal import isal_zlib

from engine.core.errors import Internal

_BATCH = 1 << 18
_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\0"
_ZSTD_WINDOW = 1 << 27
_SLICE = 4096
_ENOUGH = 4 << 20


_ERRORS = (
    zlib.error,
    isal_zlib.error,
    zstandard.ZstdError,
    lzma.LZMAError,
    OSError,
    EOFError,
)


class DecompressionFailed(Internal):
    """The data is damaged or ends too early."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def kind_of(start: bytes) -> str:
    """Return `gzip`, `zstd`, `bzip2`, `xz`, or nothing, by the first bytes of a stream."""
    kinds = {_GZIP: "gzip", _ZSTD: "zstd", _BZIP2: "bzip2", _XZ: "xz"}
    return next((kind for magic, kind in kinds.items() if start.startswith(magic)), "")


def _zstd() -> _Decompressor:
    found: _Decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    return found


def _gzip() -> _Decompressor:
    found: _Decompressor = isal_zlib.decompressobj(wbits=31)
    return found


_MAKERS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}


class Inflater:
    """Decompresses one stream, which may be several compressed ones in a row.

    It works in small slices and stops after `_ENOUGH` bytes of output, so that a bomb cannot fill the memory.
    """

    def __init__(self, kind: str) -> None:
        self._make = _MAKERS[kind]
        self._current = self._make()
        self._fresh = True
        self._waiting = b""

    @property
    def waiting(self) -> bool:
        """Whether there is input that has not been looked at."""
        return bool(self._waiting)

    def feed(self, data: bytes) -> bytes:
        """Return what more input gives, or a part of it. Raises DecompressionFailed. Blocks; call in a thread."""
        self._waiting += data
        pieces, size = [], 0
        try:
            while self._waiting and size < _ENOUGH:
                pieces.append(self._slice())
                size += len(pieces[-1])
        except _ERRORS as error:  # type: ignore[misc] # isal's stub takes its class for an instance
            raise DecompressionFailed(f"invalid compressed data: {error}") from error
        return b"".join(pieces)

    def _slice(self) -> bytes:
        if self._current.eof:
            self._current, self._fresh = self._make(), True
        piece, self._waiting = self._waiting[:_SLICE], self._waiting[_SLICE:]
        output = self._current.decompress(piece)
        self._fresh = False
        if self._current.eof:
            self._waiting = (self._current.unused_data + self._waiting).lstrip(b"\0")
        return output

    def finish(self) -> None:
        """Raise DecompressionFailed where the input has ended in the middle."""
        if not self._current.eof and not self._fresh:
            raise DecompressionFailed("unexpected EOF")


async def decompressed(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give the plain bytes of a stream, whatever it is compressed with. Raises DecompressionFailed."""
    start, chunks = await peek(chunks)
    kind = kind_of(start)
    if not kind:
        async for chunk in chunks:
            yield chunk
        return
    inflater = Inflater(kind)
    async for batch in _batches(chunks):
        piece = await asyncio.to_thread(inflater.feed, batch)
        yield piece
        while inflater.waiting:
            yield await asyncio.to_thread(inflater.feed, b"")
    inflater.finish()


async def peek(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """Return the first bytes of a stream, and the whole stream."""
    start = b""
    async for chunk in chunks:
        start += chunk
        if len(start) >= len(_XZ):
            break
    return start, _joined(start, chunks)


async def _joined(start: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if start:
        yield start
    async for chunk in chunks:
        yield chunk


async def _batches(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join small chunks, so that a thread is worth its while."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= _BATCH:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)
