"""The content store: blobs by digest, kept exactly as they were fetched.

`blobs/sha256/<hex>` holds whole, verified blobs only; `ingest/` what is on its way. Which blobs are needed is not
decided here. The index of what exists is in memory, so looking something up touches no disk.
"""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.core import digest as digests
from engine.core.errors import Internal, NotFound
from engine.drivers.storage.ingest import Ingest

log = logging.getLogger(__name__)
READ_LIMIT = 4 << 20
"""The largest manifest, index or configuration, in bytes."""
PARTIAL_AGE = 24 * 3600
PARTIAL_BYTES = 8 << 30
_THREADS = 4


class BlobMissing(NotFound):
    """The store has no such blob."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"content digest {digest}: not found")


class BlobTooLarge(Internal):
    """A document is larger than any sane one."""

    def __init__(self, digest: str, size: int) -> None:
        super().__init__(f"content {digest} is too large: {size} bytes (limit {READ_LIMIT})")


class BlobCorrupt(Internal):
    """The bytes on disk do not have the blob's digest any more."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"content {digest} is damaged on disk")


class UnsupportedDigest(Internal):
    """Only SHA-256 is in use."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"unsupported digest algorithm: {digest}")


class ContentStore:
    """Blobs below one directory (`<data>/content`)."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs" / "sha256"
        self._partial = root / "ingest"
        self._sizes: dict[str, int] = {}
        self._executor = ThreadPoolExecutor(_THREADS, "content")

    def open(self) -> None:
        """Make the directories, learn what is there, drop old partial blobs. Blocks; used at start-up only."""
        self._blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._partial.mkdir(mode=0o700, exist_ok=True)
        with os.scandir(self._blobs) as entries:
            self._sizes = {f"sha256:{e.name}": e.stat().st_size for e in entries}
        self._drop_partials()

    def close(self) -> None:
        """Wait for what is being written. Blocks."""
        self._executor.shutdown()

    def _drop_partials(self) -> None:
        """Keep the newest resumable blobs within PARTIAL_AGE and PARTIAL_BYTES. Blocks."""
        with os.scandir(self._partial) as entries:
            found = sorted(((e.stat().st_mtime, e.stat().st_size, e.path, e.name) for e in entries), reverse=True)
        kept = 0
        for modified, size, path, name in found:
            kept += size
            if name.startswith("new-") or kept > PARTIAL_BYTES or time.time() - modified > PARTIAL_AGE:
                Path(path).unlink()

    def has(self, digest: str) -> bool:
        """Tell whether the blob is here."""
        return digest in self._sizes

    def size(self, digest: str) -> int:
        """Return a blob's size in bytes, 0 where it is not here."""
        return self._sizes.get(digest, 0)

    def all(self) -> list[str]:
        """Return the digests of all blobs."""
        return list(self._sizes)

    def path(self, digest: str) -> Path:
        """Return where the blob is or would be. Raises UnsupportedDigest."""
        return self._blobs / _hexadecimal(digest)

    async def read(self, digest: str) -> bytes:
        """Return a small blob, verified. Raises BlobMissing, BlobTooLarge, BlobCorrupt, OSError."""
        if digest not in self._sizes:
            raise BlobMissing(digest)
        if self._sizes[digest] > READ_LIMIT:
            raise BlobTooLarge(digest, self._sizes[digest])
        data = await asyncio.to_thread(self.path(digest).read_bytes)
        if digests.of(data) != digest:
            raise BlobCorrupt(digest)
        return data

    async def put(self, data: bytes, digest: str = "") -> str:
        """Store a small blob and return its digest. Raises DigestMismatch where it is not `digest`, OSError."""
        found = digests.of(data)
        if digest in ("", found) and self.has(found):
            return found
        async with self.ingest_unknown(digest) as ingest:
            await ingest.write(data)
            return await self.commit(ingest)

    def ingest(self, digest: str, size: int) -> Ingest:
        """Return the writer of a blob of known digest; it goes on behind what is there of it. One at a time per digest.

        Raises UnsupportedDigest.
        """
        return Ingest(self._partial / _hexadecimal(digest), digest, size, self._executor)

    def ingest_unknown(self, digest: str = "") -> Ingest:
        """Return the writer of a blob that cannot be resumed; its digest is found, or checked where given."""
        return Ingest(self._partial / f"new-{secrets.token_hex(8)}", digest, -1, self._executor)

    async def commit(self, ingest: Ingest) -> str:
        """Verify an ingest and make it a blob; return its digest. Raises DigestMismatch, SizeMismatch, OSError."""
        digest = await ingest.finish()
        await asyncio.to_thread(os.replace, ingest.path, self.path(digest))
        self._sizes[digest] = ingest.offset
        return digest

    async def remove(self, wanted: Iterable[str]) -> int:
        """Remove blobs, and what has arrived of them; return the bytes of whole ones. Missing ones are no error."""
        digests_wanted = list(wanted)
        gained = sum(self._sizes.pop(d, 0) for d in digests_wanted)
        if digests_wanted:
            await asyncio.to_thread(self._unlink, digests_wanted)
        return gained

    def _unlink(self, gone: list[str]) -> None:
        """Blocks; call in a thread."""
        for digest in gone:
            try:
                self.path(digest).unlink(missing_ok=True)
                (self._partial / _hexadecimal(digest)).unlink(missing_ok=True)
            except OSError as error:
                log.error("blob %s cannot be removed: %s", digest, error)


def _hexadecimal(digest: str) -> str:
    algorithm, _, hexadecimal = digest.partition(":")
    if algorithm != "sha256" or len(hexadecimal) != 64 or not all(c in "0123456789abcdef" for c in hexadecimal):
        raise UnsupportedDigest(digest)
    return hexadecimal
