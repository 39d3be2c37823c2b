"""The build cache: what a step with a certain key made, until it is pruned. Its records survive restarts.

A key says all that a step's result depends on: the key below it, the instruction, the digest of what it copies. Holds
layers and blobs against the garbage collection; deletes none itself.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from engine.core import times
from engine.core.model.image import Descriptor
from engine.domain.images.garbage import Garbage, Needs
from engine.drivers.storage.content import ContentStore
from engine.drivers.storage.layers import LayerStore
from engine.state.store import Change, Delete, Put, Store

KIND = "build-cache"


class CachedLayer(Struct, frozen=True, kw_only=True):
    """A step's layer: the digest of its plain archive, its chain ID, its blob, its bytes on the disk."""

    diff_id: str
    chain: str
    blob: Descriptor
    size: int = 0


class CacheRecord(Struct, frozen=True, kw_only=True):
    """One step's result. `layer` is None for a step that only changes the configuration."""

    key: str
    parent: str
    description: str
    created: int
    used_at: int
    uses: int = 1
    layer: CachedLayer | None = None

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self.layer.size if self.layer else 0


class BuildCache:
    """All records, by key."""

    def __init__(self, store: Store, garbage: Garbage, content: ContentStore, layers: LayerStore) -> None:
        """Read the records. Blocks; used at start-up only."""
        self._store = store
        self._garbage = garbage
        self._content = content
        self._layers = layers
        self._records = store.load(KIND, CacheRecord)
        self._unwritten: dict[str, CacheRecord] = {}
        for record in self._records.values():
            self._hold(record)

    def _hold(self, record: CacheRecord) -> None:
        if record.layer is not None:
            self._garbage.kept[record.key] = Needs({record.layer.blob.digest}, {record.layer.chain})

    def find(self, key: str) -> CacheRecord | None:
        """Return what a key's step made, where all of it is still there, and note that it was used."""
        record = self._records.get(key)
        if record is None:
            return None
        layer = record.layer
        if layer and not (self._layers.has(layer.chain) and self._content.has(layer.blob.digest)):
            return None
        return self._remember(msgspec.structs.replace(record, used_at=times.now(), uses=record.uses + 1))

    def add(self, record: CacheRecord) -> CacheRecord:
        """Remember a result; on disk by the next `write`."""
        self._hold(record)
        return self._remember(record)

    def _remember(self, record: CacheRecord) -> CacheRecord:
        self._records[record.key] = self._unwritten[record.key] = record
        return record

    async def write(self) -> None:
        """Write what has changed. Raises OSError."""
        changed, self._unwritten = self._unwritten, {}
        if changed:
            await self._store.commit(*(Put(KIND, key, record) for key, record in changed.items()))

    def all(self) -> list[CacheRecord]:
        """Return all records."""
        return list(self._records.values())

    def shared(self, record: CacheRecord) -> bool:
        """Tell whether an image has the record's layer, too."""
        return record.layer is not None and self._garbage.in_images(record.layer.chain)

    async def remove(self, records: Iterable[CacheRecord]) -> int:
        """Forget records and delete what nothing else needs; return the bytes gained. Raises OSError."""
        gone, candidates = list(records), Needs()
        changes: list[Change] = []
        for record in gone:
            self._records.pop(record.key, None)
            self._unwritten.pop(record.key, None)
            changes.append(Delete(KIND, record.key))
            if (needs := self._garbage.kept.pop(record.key, None)) is not None:
                candidates.blobs |= needs.blobs
                candidates.chains |= needs.chains
        if changes:
            await self._store.commit(*changes)
        return await self._garbage.collect(candidates)
