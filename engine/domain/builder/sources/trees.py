"""Trees that sources make by themselves, of what they have fetched: each once, and kept by the cache."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.core import times
from engine.domain.builder.cache import BuildCache, CacheRecord, new_id
from engine.domain.builder.snapshot import Snapshot, Snapshots
from engine.domain.builder.solver.keys import source_key


class SourceTrees:
    """Makes and finds such trees, by what identifies them."""

    def __init__(self, snapshots: Snapshots, cache: BuildCache) -> None:
        self._snapshots = snapshots
        self._cache = cache

    def find(self, identity: str) -> Snapshot | None:
        """Return the tree that was made before."""
        record = self._cache.find(source_key(identity))
        return None if record is None else self._snapshots.of_records(record.layers)

    async def make(
        self, record: CacheRecord, actions: Sequence[Mapping[str, Any]], sources: Sequence[Path | int]
    ) -> Snapshot:
        """Make a tree by file operations and remember it as the record says. Raises ArchiveRefused, OSError."""
        async with self._snapshots.writable(Snapshot()) as tree:
            await self._snapshots.confine.file_op(tree.merged, actions, sources)
            made = Snapshot((await self._snapshots.commit(tree),))
        layers = [layer.record for layer in made.layers]
        self._cache.add(_completed(record, [layer.id for layer in layers]), layers)
        await self._cache.write()
        return made


def record_of(identity: str, description: str, kind: str = "regular") -> CacheRecord:
    """Return the record of a tree that is to be made."""
    now = times.now()
    return CacheRecord(
        id=new_id(), key=source_key(identity), kind=kind, description=description, created=now, used_at=now
    )


def _completed(record: CacheRecord, layers: list[str]) -> CacheRecord:
    return CacheRecord(
        id=record.id,
        key=record.key,
        layers=layers,
        kind=record.kind,
        description=record.description,
        created=record.created,
        used_at=record.used_at,
    )
