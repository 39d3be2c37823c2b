"""File trees as builds see them: a stack of layers, and how a step's changes become the next one.

A layer is there at once, under a name of its own: the directory that took the step's changes, renamed. Its archive,
whose digests give it a place in an image, is made when somebody needs it.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec

from engine.core import times
from engine.core.digest import chain_ids
from engine.core.model.image import Descriptor, Image
from engine.domain.builder.cache import BuildCache, CachedLayer
from engine.domain.images.documents import OCI_LAYER
from engine.domain.images.garbage import Garbage
from engine.domain.images.unpack import LayerSource, Unpacker
from engine.drivers.confine.confine import Confine
from engine.drivers.linux.pipes import output_of
from engine.drivers.storage import layer_blob
from engine.drivers.storage.content import BlobMissing, ContentStore
from engine.drivers.storage.layers import LayerStore
from engine.drivers.storage.work_trees import WorkTree, WorkTrees

_SEALED_AT_ONCE = 2


class Layer:
    """A layer as long as the daemon runs: what is known of it, as it becomes known. Equal when it is the same one."""

    __slots__ = ("__weakref__", "record")

    def __init__(self, record: CachedLayer) -> None:
        self.record = record

    @property
    def id(self) -> str:
        """What it is known by."""
        return self.record.id

    @property
    def sealed(self) -> bool:
        """Whether its archive's digests are known."""
        return bool(self.record.diff_id)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A tree: its layers, bottom first, perhaps above a directory that a client has sent."""

    layers: tuple[Layer, ...] = ()
    directory: Path | None = None

    def with_layer(self, layer: Layer) -> "Snapshot":
        """Return the tree with one more layer."""
        return Snapshot((*self.layers, layer), self.directory)


@dataclass(frozen=True, slots=True)
class NamedLayer:
    """A layer in its place in an image."""

    chain: str
    diff_id: str
    blob: Descriptor


@dataclass(frozen=True, slots=True)
class SnapshotStores:
    """Where trees are kept and what works on them."""

    trees: WorkTrees
    layers: LayerStore
    content: ContentStore
    confine: Confine
    unpacker: Unpacker
    garbage: Garbage


class Snapshots:
    """Mounts trees, and makes layers of what has changed in them."""

    def __init__(self, stores: SnapshotStores, cache: BuildCache) -> None:
        self._stores = stores
        self._cache = cache
        # As long as anybody has it: what became of a layer is in the cache's records, too.
        self._known: WeakValueDictionary[str, Layer] = WeakValueDictionary()
        self._sealing: dict[str, asyncio.Task[None]] = {}
        self._soon: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_SEALED_AT_ONCE)
        self._naming = asyncio.Lock()
        self.confine = stores.confine

    def layer(self, record: CachedLayer) -> Layer:
        """Return the one object for a layer."""
        found = self._known.get(record.id)
        if found is None:
            found = self._known[record.id] = Layer(record)
        return found

    def of_records(self, layer_ids: Sequence[str]) -> Snapshot:
        """Return the tree of a cache record."""
        return Snapshot(tuple(self.layer(self._cache.layer(layer_id)) for layer_id in layer_ids))

    def of_image(self, image: Image) -> Snapshot:
        """Return an image's tree, which must be unpacked before it is mounted."""
        chains = chain_ids(image.diff_ids)
        records = [
            CachedLayer(id=chain, place=chain, placed=True, diff_id=image.diff_ids[i], blob=image.layers[i])
            for i, chain in enumerate(chains)
        ]
        return Snapshot(tuple(self.layer(record) for record in records))

    def steps_of(self, tree: Snapshot) -> list[tuple[str, int]]:
        """Return the keys of the steps that made a tree's layers, each with how many of them are its result."""
        ids = [layer.id for layer in tree.layers]
        return [
            (record.key, len(record.layers))
            for record in self._cache.all()
            if record.key.startswith("sha256:") and record.layers and record.layers == ids[: len(record.layers)]
        ]

    def _lowers(self, base: Snapshot) -> list[Path]:
        """Return the directories, the uppermost first."""
        places = [self._stores.layers.path(layer.record.place) for layer in reversed(base.layers)]
        return [*places, *([base.directory] if base.directory else ())]

    @asynccontextmanager
    async def writable(self, base: Snapshot) -> AsyncIterator[WorkTree]:
        """Mount a tree to change; what has not been committed is gone in the end."""
        async with self._naming:
            tree = await self._stores.trees.open(self._lowers(base))
        try:
            yield tree
        finally:
            self._stores.trees.drop(tree)

    async def show_mapped(self, tree: WorkTree, base: Snapshot) -> None:
        """Let a writable tree above `base` be seen with the ids of the daemon's user namespace. Raises OSError."""
        async with self._naming:
            await self._stores.trees.show_mapped(tree, self._lowers(base))

    @asynccontextmanager
    async def view(self, snapshot: Snapshot, *, mapped: bool = False) -> AsyncIterator[Path]:
        """Give a tree to look at; `mapped`: as who is in the daemon's user namespace is to see it."""
        if snapshot.directory is not None and not snapshot.layers and not mapped:
            yield snapshot.directory
            return
        async with self._naming:
            tree = await self._stores.trees.view(self._lowers(snapshot), mapped=mapped)
        try:
            yield tree.merged
        finally:
            self._stores.trees.drop(tree)

    async def unmount(self, tree: WorkTree) -> None:
        """Unmount a tree before its time, so that what was changed can be looked at. Raises OSError."""
        await self._stores.trees.unmount(tree)

    async def commit(self, tree: WorkTree) -> Layer:
        """Make what has changed in a tree, which nobody uses any more, a layer. Raises OSError."""
        await self._stores.trees.unmount(tree)
        name = f"sha256:{secrets.token_hex(32)}"
        await asyncio.to_thread(self._stores.layers.adopt, name, tree.upper)
        return self.layer(CachedLayer(id=name, place=name, created=times.now()))

    async def size(self, layer: CachedLayer) -> int:
        """Return the bytes that a layer takes on the disk."""
        layers = self._stores.layers
        if not layers.size(layer.place) and layers.has(layer.place):
            size = await self.confine.disk_usage(layers.path(layer.place))
            await asyncio.to_thread(layers.resize, layer.place, size)
        return layers.size(layer.place)

    async def seal(self, layer: Layer) -> None:
        """Make a layer's archive, where it is not there yet; each once, whoever asks. Raises OSError, WharfError."""
        blob = layer.record.blob
        if layer.sealed and blob is not None and self._stores.content.has(blob.digest):
            return
        if layer.record.placed:
            raise BlobMissing(blob.digest if blob else layer.id)
        task = self._sealing.get(layer.id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._seal(layer), name=f"seal-{layer.id[7:19]}")
            self._sealing[layer.id] = task
            task.add_done_callback(lambda _: self._sealing.pop(layer.id, None))
        await asyncio.shield(task)

    def seal_soon(self, trees: Sequence[Snapshot]) -> None:
        """Begin with the archives of the uppermost layers; an error is that of who needs them."""
        for tree in trees:
            if tree.layers and not tree.layers[-1].sealed:
                task = asyncio.get_running_loop().create_task(self.seal(tree.layers[-1]), name="seal-soon")
                self._soon.add(task)
                task.add_done_callback(self._sealed)

    def _sealed(self, task: "asyncio.Task[None]") -> None:
        self._soon.discard(task)
        if not task.cancelled():
            task.exception()

    async def _seal(self, layer: Layer) -> None:
        async with self._slots:
            place = layer.record.place
            # Closed at once when the blob cannot be stored: the worker must not wait for a reader.
            async with aclosing(output_of(lambda fd: self._pack(place, fd))) as pieces:
                blob = await layer_blob.store(self._stores.content, pieces)
        descriptor = Descriptor(media_type=f"{OCI_LAYER}+{blob.compression}", digest=blob.digest, size=blob.size)
        layer.record = msgspec.structs.replace(layer.record, diff_id=blob.diff_id, blob=descriptor)
        for needs in self._stores.garbage.kept.values():
            if layer.record.place in needs.chains:
                needs.blobs.add(blob.digest)
        self._cache.moved(layer.record)

    async def _pack(self, place: str, output: int) -> None:
        size = await self.confine.pack(self._stores.layers.path(place), output)
        await asyncio.to_thread(self._stores.layers.resize, place, size)

    async def named(self, snapshot: Snapshot) -> list[NamedLayer]:
        """Give each layer of a tree its place in an image, with its archive. Raises OSError, WharfError.

        The tree must be kept (`Garbage.kept`) by whoever asks.
        """
        await asyncio.gather(*(self.seal(layer) for layer in snapshot.layers))
        chains = chain_ids([layer.record.diff_id for layer in snapshot.layers])
        found: list[NamedLayer] = []
        for index, (layer, chain) in enumerate(zip(snapshot.layers, chains, strict=True)):
            blob = layer.record.blob
            assert blob is not None
            found.append(NamedLayer(chain, layer.record.diff_id, blob))
            if not self._stores.layers.has(chain):
                await self._place(layer, LayerSource(chain, chains[:index], layer.record.diff_id, blob))
        return found

    async def rewritten(self, snapshot: Snapshot, latest: int) -> list[NamedLayer]:
        """As `named`, with nothing younger than `latest` (seconds since the epoch) in the layers that builds have made.

        The blobs must be kept by whoever asks. Raises OSError, WharfError.
        """
        blobs = [await self._clamped(layer, latest) for layer in snapshot.layers]
        chains = chain_ids([diff_id for diff_id, _ in blobs])
        found = [NamedLayer(chain, *blob) for chain, blob in zip(chains, blobs, strict=True)]
        for index, layer in enumerate(found):
            await self._stores.unpacker.ensure(LayerSource(layer.chain, chains[:index], layer.diff_id, layer.blob))
        return found

    async def _clamped(self, layer: Layer, latest: int) -> tuple[str, Descriptor]:
        record = layer.record
        if not record.created and record.blob is not None:
            return record.diff_id, record.blob
        place = self._stores.layers.path(record.place)
        async with aclosing(output_of(lambda fd: self.confine.pack(place, fd, latest))) as pieces:
            blob = await layer_blob.store(self._stores.content, pieces)
        descriptor = Descriptor(media_type=f"{OCI_LAYER}+{blob.compression}", digest=blob.digest, size=blob.size)
        return blob.diff_id, descriptor

    async def _place(self, layer: Layer, source: LayerSource) -> None:
        """A layer's own directory becomes that of the chain ID; one that already has another place is unpacked anew."""
        if layer.record.placed:
            await self._stores.unpacker.ensure(source)
            return
        async with self._naming:
            renamed = await asyncio.to_thread(self._stores.layers.rename, layer.record.place, source.chain)
        if renamed:
            self._move(layer, source.chain)

    def _move(self, layer: Layer, chain: str) -> None:
        before = layer.record.place
        layer.record = msgspec.structs.replace(layer.record, place=chain, placed=True)
        for needs in self._stores.garbage.kept.values():
            if before in needs.chains:
                needs.chains.add(chain)
        self._cache.moved(layer.record)

    async def close(self) -> None:
        """Stop making archives."""
        tasks = [*self._soon, *self._sealing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
