"""Where installed plugins' blobs, layers and trees are: apart from images', so that neither's clean-up harms the other.

What no plugin needs is dropped when one is removed, and at the daemon's start.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.core.digest import chain_ids
from engine.core.model.image import Descriptor
from engine.core.model.plugin import InstalledPlugin
from engine.domain.images.unpack import LayerSource, Unpacker
from engine.drivers.storage.content import ContentStore
from engine.drivers.storage.layers import LayerStore
from engine.drivers.storage.overlay import OverlayDriver


@dataclass(frozen=True, slots=True)
class PluginStores:
    """The stores. `busy` is held by who adds to them, and by who drops what nobody needs."""

    content: ContentStore
    layers: LayerStore
    overlay: OverlayDriver
    unpacker: Unpacker
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        """Make the directories."""
        await asyncio.to_thread(self.layers.clean)
        await asyncio.to_thread(self.content.open)
        await self.overlay.start()

    async def unpack(self, diff_ids: Sequence[str], blobs: Sequence[Descriptor]) -> list[str]:
        """Unpack layers whose blobs are here; return their chain IDs, bottom first. Raises WharfError."""
        chains = chain_ids(diff_ids)
        for i, chain in enumerate(chains):
            await self.unpacker.ensure(LayerSource(chain, chains[:i], diff_ids[i], blobs[i]))
        return list(chains)

    async def discard(self, plugin: InstalledPlugin, others: Iterable[InstalledPlugin]) -> None:
        """Remove a plugin's tree, and what no other one needs. Raises OSError."""
        await self.overlay.remove(plugin.id)
        async with self.busy:
            await self.drop_unused(others)

    async def drop_orphans(self, plugins: Sequence[InstalledPlugin]) -> None:
        """Remove what a killed daemon left of plugins that never came to be, or were all but gone."""
        known = {plugin.id for plugin in plugins}
        for name in await asyncio.to_thread(self.overlay.all):
            if name not in known:
                await self.overlay.remove(name)
        await self.drop_unused(plugins)

    async def drop_unused(self, plugins: Iterable[InstalledPlugin]) -> None:
        """Remove blobs and layers that none of the plugins needs."""
        blobs, chains = set[str](), set[str]()
        for plugin in plugins:
            blobs |= {plugin.manifest.digest, plugin.config_blob.digest, *(b.digest for b in plugin.blobs)}
            chains |= set(plugin.layers)
        await self.content.remove([digest for digest in self.content.all() if digest not in blobs])
        for chain in self.layers.all():
            if chain not in chains:
                await asyncio.to_thread(self.layers.remove, chain)

    async def close(self) -> None:
        """Stop all work."""
        await self.unpacker.close()
        await self.overlay.close()
        await asyncio.to_thread(self.content.close)
