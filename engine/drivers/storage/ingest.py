"""A blob on its way into the content store: written and hashed in threads, verified, then renamed into place.

The file below `ingest/` survives a broken connection and a killed daemon: a later attempt goes on where it ended.
"""

import asyncio
import hashlib
import os
from concurrent.futures import Executor
from pathlib import Path
from types import TracebackType

from engine.core.errors import Internal

BATCH = 1 << 20
SYNC_LIMIT = 4 << 20
"""Blobs up to this size (manifests, configurations) are flushed to the disk before they count as there."""


class DigestMismatch(Internal):
    """What arrived is not what its digest says."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(f"unexpected commit digest {found}, expected {wanted}: failed precondition")


class SizeMismatch(Internal):
    """More or less arrived than the descriptor says."""

    def __init__(self, digest: str, wanted: int, found: int) -> None:
        short = f"short read: expected {wanted} bytes but got {found}: unexpected EOF"
        long = f"unexpected commit size {found}, expected {wanted} of {digest}: failed precondition"
        super().__init__(short if found < wanted else long)


class Ingest:
    """One blob's writer. `digest` and `size` (bytes) are what it must become; empty and -1 where that is not known.

    Leaving `async with` without a commit keeps what has been written where it can be resumed (a size is given), and
    drops it otherwise.
    """

    def __init__(self, path: Path, digest: str, size: int, executor: Executor) -> None:
        self._path = path
        self.digest = digest
        self.size = size
        self.offset = 0
        self._executor = executor
        self._fd = -1
        self._hash = hashlib.sha256()
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._writing: asyncio.Future[None] | None = None

    async def __aenter__(self) -> "Ingest":
        opening = self._run(self._open)
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(lambda _: self._close(keep=True))
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(asyncio.ensure_future(self._leave(keep=self.size >= 0)))

    def _run(self, function: object, *arguments: object) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)  # type: ignore[arg-type]

    def _open(self) -> None:
        """Open the file and hash what an earlier attempt has left in it. Blocks; call in a thread."""
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self.size >= 0 and os.fstat(self._fd).st_size > self.size:
            os.ftruncate(self._fd, 0)
        while data := os.read(self._fd, BATCH):
            self._hash.update(data)
            self.offset += len(data)

    async def write(self, data: bytes) -> None:
        """Append data; what is written and hashed in the background is at most a batch behind. Raises OSError."""
        self._buffer.append(data)
        self._buffered += len(data)
        self.offset += len(data)
        if self._buffered >= BATCH:
            await self._flush()

    async def _flush(self) -> None:
        await self._settle()
        batch, self._buffer, self._buffered = self._buffer, [], 0
        if batch:
            self._writing = self._run(self._append, batch)

    async def _settle(self) -> None:
        """Wait for the write under way, whatever becomes of the caller meanwhile."""
        writing = self._writing
        if writing is not None:
            await asyncio.shield(writing)
            self._writing = None

    def _append(self, batch: list[bytes]) -> None:
        """Blocks; call in a thread."""
        for data in batch:
            self._hash.update(data)
        _write_all(self._fd, batch)

    async def restart(self) -> None:
        """Forget what has been written."""
        self._buffer, self._buffered = [], 0
        await self._settle()
        await self._run(self._truncate)

    def _truncate(self) -> None:
        """Blocks; call in a thread."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.offset = 0

    async def finish(self) -> str:
        """Write what is left, verify, flush small blobs to disk; return the digest. The store renames the file.

        Raises DigestMismatch, SizeMismatch (the file is emptied then), OSError.
        """
        await self._flush()
        await self._settle()
        found = f"sha256:{self._hash.hexdigest()}"
        if self.size not in (-1, self.offset):
            wanted = self.size
            size = self.offset
            await self.restart()
            raise SizeMismatch(self.digest, wanted, size)
        if self.digest not in ("", found):
            await self.restart()
            raise DigestMismatch(self.digest, found)
        if self.offset <= SYNC_LIMIT:
            await self._run(os.fdatasync, self._fd)
        return found

    @property
    def path(self) -> Path:
        """The file below `ingest/`."""
        return self._path

    async def _leave(self, *, keep: bool) -> None:
        self._buffer = self._buffer if keep else []
        try:
            await self._flush()
            await self._settle()
        except OSError:
            keep = keep and self.offset > 0
        finally:
            await self._run(lambda: self._close(keep=keep))

    def _close(self, *, keep: bool) -> None:
        """Blocks; call in a thread."""
        if self._fd < 0:
            return
        os.close(self._fd)
        if not keep or self.offset == 0:
            self._path.unlink(missing_ok=True)


def _write_all(fd: int, batch: list[bytes]) -> None:
    """Write all of a batch, which a single writev need not do. Blocks; call in a thread."""
    total = sum(map(len, batch))
    written = os.writev(fd, batch) if len(batch) <= 1000 else 0
    if written < total:
        rest = memoryview(b"".join(batch))[written:]
        while rest:
            rest = rest[os.write(fd, rest) :]
