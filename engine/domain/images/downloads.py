"""Blobs from registries (and their like) into the content store: a few at a time, each once however many pulls want it.

A broken connection is taken up where it ended, with growing pauses; what has arrived survives even the daemon.
"""

import asyncio
import logging
from dataclasses import dataclass

from engine.core import os_errors
from engine.core.errors import Internal, NotFound, WharfError
from engine.core.model.image import Descriptor
from engine.domain.images.failures import MalformedImage
from engine.domain.images.origin import Origin
from engine.domain.images.precedence import Pace, Precedence
from engine.drivers.registry.failures import (
    AccessDenied,
    CredentialsRefused,
    InvalidChallenge,
    NotFetched,
    UnexpectedStatus,
)
from engine.drivers.storage.content import ContentStore
from engine.drivers.storage.ingest import DigestMismatch, Ingest, SizeMismatch

log = logging.getLogger(__name__)
_ATTEMPTS = 5
_FIRST_PAUSE = 0.5
_FINAL = (
    AccessDenied,
    CredentialsRefused,
    DigestMismatch,
    InvalidChallenge,
    MalformedImage,
    NotFound,
    SizeMismatch,
)


class StorageFailed(Internal):
    """The disk is full or broken."""

    def __init__(self, digest: str, cause: OSError) -> None:
        super().__init__(f"failed to copy: {digest}: {os_errors.text(cause)}")


@dataclass(eq=False, slots=True)
class Download:
    """A blob on its way. `received` in bytes; it is 0 and `started` False while it waits for its turn."""

    descriptor: Descriptor
    received: int = 0
    started: bool = False
    waiting: int = 0
    abandoned: bool = False
    task: asyncio.Task[None] | None = None


class Downloader:
    """Fetches blobs, at most `limit` at a time."""

    def __init__(self, content: ContentStore, limit: int = 3, attempts: int = _ATTEMPTS) -> None:
        self._content = content
        self._slots = asyncio.Semaphore(limit)
        self._attempts = attempts
        self._running: dict[str, Download] = {}
        self._precedence = Precedence()

    def is_running(self, digest: str) -> bool:
        """Tell whether somebody fetches the blob already."""
        return digest in self._running and not self._running[digest].abandoned

    def begin(self, origin: Origin, descriptor: Descriptor) -> Download:
        """Start to fetch a blob, or join those who fetch it already. `wait` must follow."""
        download = self._running.get(descriptor.digest)
        if download is None or download.abandoned:
            ending = download.task if download else None
            download = Download(descriptor)
            fetch = self._fetch(origin, download, ending)
            download.task = asyncio.get_running_loop().create_task(fetch, name=f"fetch-{descriptor.digest[7:19]}")
            self._running[descriptor.digest] = download
        download.waiting += 1
        return download

    async def wait(self, download: Download) -> None:
        """Wait until the blob is here; when nobody waits any more, it is given up. Raises WharfError."""
        assert download.task is not None
        try:
            await asyncio.shield(download.task)
        finally:
            download.waiting -= 1
            if not download.waiting and not download.task.done():
                download.abandoned = True
                download.task.cancel()
                await asyncio.wait([download.task])

    def _forget(self, download: Download) -> None:
        if self._running.get(download.descriptor.digest) is download:
            del self._running[download.descriptor.digest]

    async def _fetch(self, origin: Origin, download: Download, ending: asyncio.Task[None] | None) -> None:
        try:
            if ending is not None:
                await asyncio.wait([ending])  # It may still be closing the file that is gone on with here.
            async with self._slots:
                download.started = True
                await self._in_turn(origin, download)
        except OSError as error:
            raise StorageFailed(download.descriptor.digest, error) from error
        finally:
            self._forget(download)

    async def _in_turn(self, origin: Origin, download: Download) -> None:
        pace = self._precedence.enter()
        try:
            await self._persist(origin, download, pace)
        finally:
            self._precedence.leave(pace)

    async def _persist(self, origin: Origin, download: Download, pace: Pace) -> None:
        """Try until it succeeds; an attempt that got anywhere makes the count begin anew."""
        descriptor = download.descriptor
        failures = 0
        async with self._content.ingest(descriptor.digest, descriptor.size) as ingest:
            while True:
                before = ingest.offset
                try:
                    await self._receive(origin, download, ingest, pace)
                    await self._content.commit(ingest)
                    return
                except WharfError as error:
                    failures = 1 if ingest.offset > before else failures + 1
                    if failures >= self._attempts or _is_final(error):
                        raise
                    log.warning("blob %s: %s; trying again", descriptor.digest, error)
                await asyncio.sleep(_FIRST_PAUSE * 2 ** (failures - 1))

    async def _receive(self, origin: Origin, download: Download, ingest: Ingest, pace: Pace) -> None:
        """Append the rest of a blob. Raises MalformedImage for one that is larger than it says."""
        size = download.descriptor.size
        download.received = ingest.offset
        if ingest.offset >= size:
            return
        async with origin.blob(download.descriptor, ingest.offset) as chunks:
            async for chunk in chunks:
                if ingest.offset + len(chunk) > size:
                    await ingest.restart()
                    raise MalformedImage(f"content {download.descriptor.digest} is larger than {size} bytes")
                await ingest.write(chunk)
                download.received = ingest.offset
                pace.add(len(chunk))
                await self._precedence.give_way(pace)

    async def close(self) -> None:
        """Stop all downloads; what has arrived is kept."""
        tasks = [d.task for d in self._running.values() if d.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_final(error: WharfError) -> bool:
    """Tell whether trying again is pointless."""
    if isinstance(error, UnexpectedStatus | NotFetched):
        return not error.is_temporary
    return isinstance(error, _FINAL)
