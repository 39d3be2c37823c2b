"""A tar archive on its way to becoming a layer's blob: compressed where it is not, with the digest of the plain bytes.

gzip and zstd are kept as they come; anything else is stored as gzip, as containerd does it.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from isal import isal_zlib

from engine.drivers.storage.content import ContentStore
from engine.drivers.storage.inflate import Inflater, decompressed, kind_of, peek
from engine.drivers.storage.ingest import Ingest

_LEVEL = 2
_BATCH = 1 << 20


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """The blob's digest and size in bytes, its compression, and the digest of the plain archive."""

    digest: str
    size: int
    compression: str
    diff_id: str


async def store(content: ContentStore, chunks: AsyncIterator[bytes]) -> LayerBlob:
    """Store a layer's archive. Raises DecompressionFailed, OSError."""
    start, chunks = await peek(chunks)
    kind = kind_of(start)
    async with content.ingest_unknown() as ingest:
        if kind in ("gzip", "zstd"):
            diff_id = await _keep(ingest, chunks, kind)
        else:
            diff_id = await _compress(ingest, decompressed(chunks))
        digest = await content.commit(ingest)
        return LayerBlob(digest, ingest.offset, kind if kind in ("gzip", "zstd") else "gzip", diff_id)


async def _keep(ingest: Ingest, chunks: AsyncIterator[bytes], kind: str) -> str:
    plain, inflater = hashlib.sha256(), Inflater(kind)

    def hash_plain(data: bytes) -> None:
        plain.update(inflater.feed(data))
        while inflater.waiting:
            plain.update(inflater.feed(b""))

    async for chunk in chunks:
        await ingest.write(chunk)
        await asyncio.to_thread(hash_plain, chunk)
    inflater.finish()
    return f"sha256:{plain.hexdigest()}"


async def _compress(ingest: Ingest, chunks: AsyncIterator[bytes]) -> str:
    plain, packer = hashlib.sha256(), isal_zlib.compressobj(_LEVEL, wbits=31)

    def pack(data: bytes) -> bytes:
        plain.update(data)
        packed: bytes = packer.compress(data)
        return packed

    async for chunk in _even(chunks):
        await ingest.write(await asyncio.to_thread(pack, chunk))
    await ingest.write(packer.flush())
    return f"sha256:{plain.hexdigest()}"


async def _even(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same bytes in pieces of one size: what the packer makes of them depends on where they are cut."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        while len(waiting) >= _BATCH:
            yield bytes(waiting[:_BATCH])
            del waiting[:_BATCH]
    if waiting:
        yield bytes(waiting)
