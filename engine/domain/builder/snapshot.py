"""File trees as builds see them: a stack of layers, and how a step's changes become the next one."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.core import ids
from engine.core.digest import chain_ids
from engine.core.model.image import Descriptor, Image
from engine.domain.builder.cache import CachedLayer
from engine.domain.images.documents import OCI_LAYER
from engine.domain.images.garbage import Lease
from engine.drivers.confine.confine import Confine
from engine.drivers.storage import layer_blob
from engine.drivers.storage.content import ContentStore
from engine.drivers.storage.layers import LayerStore
from engine.drivers.storage.overlay import OverlayDriver

_PIPE = 1 << 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A tree: its layers, bottom first."""

    layers: tuple[CachedLayer, ...] = ()

    @property
    def chains(self) -> list[str]:
        """The layers' chain IDs, bottom first."""
        return [layer.chain for layer in self.layers]

    def with_layer(self, layer: CachedLayer | None) -> "Snapshot":
        """Return the tree with one more layer, where there is one."""
        return self if layer is None else Snapshot((*self.layers, layer))


def of_image(image: Image) -> Snapshot:
    """Return an image's tree."""
    chains = chain_ids(image.diff_ids)
    return Snapshot(
        tuple(
            CachedLayer(diff_id=image.diff_ids[i], chain=chain, blob=image.layers[i]) for i, chain in enumerate(chains)
        )
    )


class Snapshots:
    """Mounts trees, and makes layers of what has changed in them."""

    def __init__(self, overlay: OverlayDriver, layers: LayerStore, content: ContentStore, confine: Confine) -> None:
        self._overlay = overlay
        self._layers = layers
        self._content = content
        self.confine = confine

    async def prepare(self, work_id: str, base: Snapshot) -> None:
        """Make a writable tree above the snapshot, not mounted yet."""
        await self._overlay.create(work_id, base.chains)

    @asynccontextmanager
    async def mounted(self, base: Snapshot) -> AsyncIterator[tuple[str, Path]]:
        """Mount a writable tree; whatever has not been sealed is gone in the end."""
        work_id = ids.new_id()
        try:
            await self._overlay.create(work_id, base.chains)
            yield work_id, await self._overlay.mount(work_id)
        finally:
            await asyncio.shield(self.drop(work_id))

    async def drop(self, work_id: str) -> None:
        """Remove a tree."""
        await self._overlay.remove(work_id)

    async def seal(self, work_id: str, base: Snapshot, lease: Lease) -> CachedLayer:
        """Make what has changed in a tree, which nobody uses any more, a layer. Raises OSError, WharfError."""
        await self._overlay.unmount(work_id)
        upper = self._overlay.upper(work_id)
        blob, size = await self._blob(upper)
        await lease.blob(blob.digest)
        diff_ids = [*(layer.diff_id for layer in base.layers), blob.diff_id]
        chain = chain_ids(diff_ids)[-1]
        await lease.chain(chain)
        if not self._layers.has(chain):
            await asyncio.to_thread(self._commit, chain, upper, size)
        descriptor = Descriptor(media_type=f"{OCI_LAYER}+{blob.compression}", digest=blob.digest, size=blob.size)
        return CachedLayer(diff_id=blob.diff_id, chain=chain, blob=descriptor, size=size)

    def _commit(self, chain: str, upper: Path, size: int) -> None:
        """Blocks; call in a thread."""
        tree = self._layers.begin(chain)
        try:
            tree.rmdir()
            upper.rename(tree)
            self._layers.commit(chain, tree, size)
        except BaseException:
            self._layers.discard(tree)
            raise

    async def _blob(self, tree: Path) -> tuple[layer_blob.LayerBlob, int]:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE)
        packing = asyncio.ensure_future(self.confine.pack(tree, writer))
        packing.add_done_callback(lambda _: os.close(writer))
        try:
            blob = await layer_blob.store(self._content, _pieces(reader))
            return blob, await packing
        finally:
            await _ended(packing)
            os.close(reader)


async def _ended(packing: "asyncio.Future[int]") -> None:
    if not packing.done():
        packing.cancel()
        await asyncio.wait((packing,))


async def _pieces(reader: int) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(os.read, reader, _PIPE):
        yield piece


def diff_ids_of(layers: Sequence[CachedLayer]) -> list[str]:
    """Return the layers' digests of plain archives."""
    return [layer.diff_id for layer in layers]
