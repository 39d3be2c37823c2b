"""The builds that were made: what was asked, what came of it, and their progress to be told again.

Owns the records and, in one directory, a file with the progress of each. As BuildKit does, it forgets what is both
older than two days and not among the newest fifty, but for what is pinned.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec

from engine.core import digest as digests
from engine.core import times
from engine.core.errors import NotFound
from engine.core.model.build import BuildExporter, BuildFailure, BuildRecord
from engine.domain.builder.builds import Build
from engine.domain.builder.progress import ProgressEvent, VertexEvent, WarningEvent
from engine.state.store import Delete, Put, Store

_KIND = "build"
_MOST = 50
_OLDEST = 48 * 3600 * 10**9
_LENGTH = 4
_BATCH = 200
_CANCELED = "context canceled"
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Change(IntEnum):
    """What has happened to a record."""

    STARTED = 0
    COMPLETE = 1
    DELETED = 2


class NotInHistory(NotFound):
    """No build of that name is remembered."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"failed to retrieve ref {ref}: file does not exist")


@dataclass(frozen=True, slots=True)
class Codec:
    """How failures and progress are kept: the clients' own form, so that it can be sent again as it is."""

    failure: Callable[[Exception], BuildFailure]
    progress: Callable[[Iterable[ProgressEvent]], bytes]


class BuildHistory:
    """All builds that are remembered, and those that run."""

    def __init__(self, store: Store, directory: Path, codec: Codec) -> None:
        """Read the records. Blocks; used at start-up only."""
        self._store = store
        self._directory = directory
        self._codec = codec
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._records = store.load(_KIND, BuildRecord)
        self._active: dict[str, BuildRecord] = {}
        self._listeners: set[asyncio.Queue[tuple[Change, BuildRecord]]] = set()

    def started(self, build: Build) -> None:
        """Note a build that begins."""
        request = build.request
        if not _SAFE.fullmatch(request.ref):
            return
        record = BuildRecord(
            ref=request.ref,
            frontend=request.frontend,
            options=dict(request.frontend_request.options),
            exporters=[BuildExporter(kind=each.kind, attrs=dict(each.attrs)) for each in request.exporters],
            created=build.created,
        )
        self._active[record.ref] = record
        self._tell(Change.STARTED, record)

    async def ended(self, build: Build, response: Mapping[str, str], error: BaseException | None) -> None:
        """Keep a build that is over. Raises OSError."""
        started = self._active.pop(build.request.ref, None)
        if started is None:
            return
        events = build.job.progress.events
        data = await asyncio.to_thread(self._encoded, list(events))
        record = msgspec.structs.replace(
            started,
            completed=times.now(),
            failure=None if error is None else self._failure(error),
            response=dict(response),
            progress=len(data),
            log=digests.of(data),
            provenance=msgspec.json.format(msgspec.json.encode(build.provenance)).decode() if build.provenance else "",
            **_counts(events),
        )
        await asyncio.to_thread((self._directory / record.ref).write_bytes, data)
        self._records[record.ref] = record
        await self._store.commit(Put(_KIND, record.ref, record), *self._surplus())
        self._tell(Change.COMPLETE, record)

    def _encoded(self, events: Sequence[ProgressEvent]) -> bytes:
        """Return messages, each behind its length, as BuildKit keeps them. Blocks; call in a thread."""
        batches = [self._codec.progress(events[at : at + _BATCH]) for at in range(0, len(events), _BATCH)]
        return b"".join(len(batch).to_bytes(_LENGTH, "little") + batch for batch in batches)

    def _failure(self, error: BaseException) -> BuildFailure:
        if isinstance(error, Exception) and _CANCELED not in str(error):
            return self._codec.failure(error)
        return BuildFailure(code=1, message=_CANCELED)

    def _surplus(self) -> list[Delete]:
        """Forget what is old; return the changes."""
        newest = sorted(self._records.values(), key=lambda record: record.completed, reverse=True)
        limit = times.now() - _OLDEST
        gone = [record for record in newest[_MOST:] if record.completed < limit and not record.pinned]
        for record in gone:
            self._drop(record)
        return [Delete(_KIND, record.ref) for record in gone]

    def _drop(self, record: BuildRecord) -> None:
        del self._records[record.ref]
        with suppress(FileNotFoundError):
            os.unlink(self._directory / record.ref)  # noqa: PTH108 (as quick as any call on one name)
        self._tell(Change.DELETED, record)

    def _tell(self, change: Change, record: BuildRecord) -> None:
        for listener in self._listeners:
            listener.put_nowait((change, record))

    def get(self, ref: str) -> BuildRecord:
        """Return a build that is over. Raises NotInHistory."""
        if ref not in self._records:
            raise NotInHistory(ref)
        return self._records[ref]

    def active(self, ref: str = "") -> list[BuildRecord]:
        """Return builds that run, all or the one of that name."""
        return [record for record in self._active.values() if ref in ("", record.ref)]

    def completed(self, ref: str = "") -> list[BuildRecord]:
        """Return builds that are over, the newest first, all or the one of that name."""
        found = [record for record in self._records.values() if ref in ("", record.ref)]
        return sorted(found, key=lambda record: record.created, reverse=True)

    async def progress(self, ref: str) -> AsyncIterator[bytes]:
        """Yield what was kept of a build's progress. Raises NotInHistory, OSError."""
        record = self.get(ref)
        data, at = await self.log(record), 0
        while at + _LENGTH <= len(data):
            size = int.from_bytes(data[at : at + _LENGTH], "little")
            yield data[at + _LENGTH : at + _LENGTH + size]
            at += _LENGTH + size

    async def log(self, record: BuildRecord) -> bytes:
        """Return what was kept of a build's progress, as it lies on the disk. Raises OSError."""
        return await asyncio.to_thread((self._directory / record.ref).read_bytes)

    @contextmanager
    def listening(self) -> Any:
        """Give a queue of what happens from now on."""
        queue: asyncio.Queue[tuple[Change, BuildRecord]] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    async def delete(self, ref: str) -> None:
        """Forget a build; nothing happens where it is not known. Raises OSError."""
        record = self._records.get(ref)
        if record is not None:
            self._drop(record)
            await self._store.commit(Delete(_KIND, ref))

    async def pin(self, ref: str, *, pinned: bool) -> None:
        """Keep a build, or not. Raises NotInHistory, OSError."""
        record = self.get(ref)
        changed = msgspec.structs.replace(record, pinned=pinned, generation=record.generation + 1)
        self._records[ref] = changed
        await self._store.commit(Put(_KIND, ref, changed))
        self._tell(Change.COMPLETE, changed)


def _counts(events: Iterable[ProgressEvent]) -> dict[str, int]:
    """Return the numbers of a record: of vertices, each by its last event, and of warnings."""
    vertices: dict[str, VertexEvent] = {}
    warnings = 0
    for event in events:
        if isinstance(event, VertexEvent):
            vertices[event.digest] = event
        elif isinstance(event, WarningEvent):
            warnings += 1
    found = vertices.values()
    return {
        "total_steps": len(found),
        "completed_steps": sum(1 for event in found if event.completed),
        "cached_steps": sum(1 for event in found if event.cached),
        "warnings": warnings,
    }
