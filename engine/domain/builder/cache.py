"""The build cache: what a step with a certain key made, until it is pruned. Its records survive restarts.

A key says all that a step's result depends on: the operation and the keys, or the content, of what it works on. Holds
layers and blobs against the garbage collection; deletes none itself.
"""

import secrets
import string
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

import msgspec
from msgspec import Struct

from engine.core import times
from engine.core.model.image import Descriptor
from engine.domain.images.garbage import Garbage, Needs
from engine.state.store import Change, Delete, Put, Store

RECORDS = "build-cache"
LAYERS = "build-layer"
_ALPHABET = string.ascii_lowercase + string.digits


class CachedLayer(Struct, frozen=True, kw_only=True):
    """A layer. `place` is its name in the layer store, a chain ID when it is `placed`.

    `diff_id` and `blob` are known once somebody needs them; `created` is 0 for an image's.
    """

    id: str
    place: str
    placed: bool = False
    diff_id: str = ""
    blob: Descriptor | None = None
    created: int = 0


class CacheRecord(Struct, frozen=True, kw_only=True):
    """One step's result, a tree: its layers' ids, bottom first.

    `kind` as `docker buildx du` shows it: `regular`, `source.local`, `exec.cachemount`, …; `parents` are ids of records
    that it builds upon; `links` are other keys under which it is found; `directory` is the name of a cache mount's.
    """

    id: str
    key: str
    layers: list[str] = []
    kind: str = "regular"
    description: str = ""
    parents: list[str] = []
    links: list[str] = []
    blobs: list[str] = []
    directory: str = ""
    created: int = 0
    used_at: int = 0
    uses: int = 1


class LayerPresence(Protocol):
    """The part of the layer store that is asked here."""

    def has(self, chain: str) -> bool:
        """Tell whether a layer is there."""
        ...


def new_id() -> str:
    """Return a record's id, in BuildKit's form."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(25))


class BuildCache:
    """All records, by key and by id, and the layers that they consist of."""

    def __init__(self, store: Store, garbage: Garbage, layers: LayerPresence) -> None:
        """Read the records. Blocks; used at start-up only, before the first garbage collection."""
        self._store = store
        self._garbage = garbage
        self._present = layers
        self._layers = store.load(LAYERS, CachedLayer)
        self._records = {record.key: record for record in store.load(RECORDS, CacheRecord).values()}
        self._by_id = {record.id: record for record in self._records.values()}
        self._links = {link: record.key for record in self._records.values() for link in record.links}
        self._unwritten: dict[tuple[str, str], Change] = {}
        self.in_use: Counter[str] = Counter()
        for record in list(self._records.values()):
            if all(self._has(layer) for layer in record.layers):
                self._hold(record)
            else:
                self._forget(record)  # A layer went with a power cut, or its record did.

    def _hold(self, record: CacheRecord) -> None:
        found = [self._layers[layer] for layer in record.layers if layer in self._layers]
        blobs = {layer.blob.digest for layer in found if layer.blob}
        self._garbage.kept[record.id] = Needs(blobs | set(record.blobs), {layer.place for layer in found})

    def find(self, key: str) -> CacheRecord | None:
        """Return what a key's step made, where all of it is still there, and note that it was used."""
        record = self.peek(self._links.get(key, key))
        if record is None:
            return None
        return self._remember(msgspec.structs.replace(record, used_at=times.now(), uses=record.uses + 1))

    def peek(self, key: str) -> CacheRecord | None:
        """Return what a key's step made, where all of it is still there."""
        record = self._records.get(key)
        return record if record is not None and all(self._has(layer) for layer in record.layers) else None

    def _has(self, layer: str) -> bool:
        found = self._layers.get(layer)
        return found is not None and self._present.has(found.place)

    def canonical(self, link: str) -> str | None:
        """Return the key that another one was found to be the same as, while that one has a result."""
        key = self._links.get(link)
        return key if key in self._records else None

    def link(self, link: str, key: str) -> None:
        """Remember that what is found under one key is found under another; nothing happens without a result."""
        record = self._records.get(key)
        if record is None or link in record.links or link == key:
            return
        self._links[link] = key
        self._remember(msgspec.structs.replace(record, links=[*record.links, link]))

    def layer(self, layer_id: str) -> CachedLayer:
        """Return a layer that a record names."""
        return self._layers[layer_id]

    def add(self, record: CacheRecord, layers: Iterable[CachedLayer]) -> CacheRecord:
        """Remember a result, in place of an older one with the key; on disk by the next `write`."""
        for layer in layers:
            self.put_layer(layer)
        if (old := self._records.get(record.key)) is not None and old.id != record.id:
            self._forget(old)
        self._by_id[record.id] = record
        return self._remember(record)

    def put_layer(self, layer: CachedLayer) -> None:
        """Remember what a layer has become: where it is, what its digests are."""
        if self._layers.get(layer.id) == layer:
            return
        self._layers[layer.id] = layer
        self._unwritten[LAYERS, layer.id] = Put(LAYERS, layer.id, layer)
        for record in self._records.values():
            if layer.id in record.layers:
                self._hold(record)

    def moved(self, layer: CachedLayer) -> None:
        """As `put_layer`, for those layers that records know, after a layer was given its place for good."""
        if layer.id in self._layers:
            self.put_layer(layer)

    def _remember(self, record: CacheRecord) -> CacheRecord:
        self._records[record.key] = self._by_id[record.id] = record
        self._hold(record)
        self._unwritten[RECORDS, record.id] = Put(RECORDS, record.id, record)
        return record

    def _forget(self, record: CacheRecord) -> None:
        self._records.pop(record.key, None)
        self._by_id.pop(record.id, None)
        for link in record.links:
            self._links.pop(link, None)
        self._unwritten[RECORDS, record.id] = Delete(RECORDS, record.id)
        if (needs := self._garbage.kept.pop(record.id, None)) is not None:
            self._garbage.soon(needs)

    async def write(self) -> None:
        """Write what has changed. Raises OSError."""
        changed, self._unwritten = self._unwritten, {}
        if changed:
            await self._store.commit(*changed.values())

    def all(self) -> list[CacheRecord]:
        """Return all records."""
        return list(self._by_id.values())

    def by_id(self, record_id: str) -> CacheRecord | None:
        """Return a record."""
        return self._by_id.get(record_id)

    def own_layers(self, record: CacheRecord) -> list[CachedLayer]:
        """Return the layers that a record does not have from its parents."""
        parents = [self._by_id[p] for p in record.parents if p in self._by_id]
        inherited = {layer for parent in parents for layer in parent.layers}
        return [self._layers[layer] for layer in record.layers if layer not in inherited and layer in self._layers]

    async def remove(self, records: Iterable[CacheRecord]) -> int:
        """Forget records and delete what nothing else needs; return the bytes gained. Raises OSError."""
        candidates = Needs()
        for record in records:
            if (needs := self._garbage.kept.pop(record.id, None)) is not None:
                candidates.blobs |= needs.blobs
                candidates.chains |= needs.chains
            self._forget(record)
        used = {layer for record in self._by_id.values() for layer in record.layers}
        for layer in [layer for layer in self._layers if layer not in used]:
            del self._layers[layer]
            self._unwritten[LAYERS, layer] = Delete(LAYERS, layer)
        await self.write()
        return await self._garbage.collect(candidates)
