"""Blobs to unpacked layers: each chain ID once, however many images and pulls want it.

The tree is made by a confined worker in a directory of its own and becomes the layer by one rename.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.core import os_errors
from engine.core.digest import chain_ids
from engine.core.errors import WharfError
from engine.core.model.image import Descriptor, Image
from engine.domain.images.documents import compression_of
from engine.domain.images.failures import ExtractFailed, LayerMismatch
from engine.drivers.confine.confine import Unpacked
from engine.drivers.storage.content import BlobMissing, ContentStore
from engine.drivers.storage.layers import LayerStore


class Extractor(Protocol):
    """The part of drivers/confine that is wanted here."""

    async def unpack(self, source: Path, compression: str, target: Path, parents: Sequence[Path]) -> Unpacked:
        """Unpack a layer's archive into an empty tree. `parents` are the trees below it, the uppermost first."""


@dataclass(frozen=True, slots=True)
class LayerSource:
    """A layer and what it lies on: `chain` is its chain ID, `below` those of the layers below, bottom first."""

    chain: str
    below: tuple[str, ...]
    diff_id: str
    blob: Descriptor


def layer_sources(image: Image) -> list[LayerSource]:
    """Return an image's layers, bottom first."""
    chains = chain_ids(image.diff_ids)
    return [LayerSource(chain, chains[:i], image.diff_ids[i], image.layers[i]) for i, chain in enumerate(chains)]


class Unpacker:
    """Makes layers."""

    def __init__(self, content: ContentStore, layers: LayerStore, extractor: Extractor) -> None:
        self._content = content
        self._layers = layers
        self._extractor = extractor
        self._running: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, int] = {}

    def has(self, chain: str) -> bool:
        """Tell whether the layer is there."""
        return self._layers.has(chain)

    async def ensure(self, source: LayerSource) -> None:
        """Unpack a layer where it is not there yet; its blob must be here. Raises ExtractFailed, LayerMismatch, …"""
        if self._layers.has(source.chain):
            return
        task = self._running.get(source.chain)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._make(source), name=f"unpack-{source.chain[7:19]}")
            self._running[source.chain] = task
        self._waiting[source.chain] = self._waiting.get(source.chain, 0) + 1
        try:
            await asyncio.shield(task)
        finally:
            self._waiting[source.chain] -= 1
            if not self._waiting[source.chain]:
                del self._waiting[source.chain]
                await self._give_up(source.chain, task)

    async def _give_up(self, chain: str, task: asyncio.Task[None]) -> None:
        if self._running.get(chain) is task:
            del self._running[chain]
        if not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def _make(self, source: LayerSource) -> None:
        if not self._content.has(source.blob.digest):
            raise BlobMissing(source.blob.digest)
        tree = await asyncio.to_thread(self._layers.begin, source.chain)
        try:
            unpacked = await self._extract(source, tree)
            if unpacked.diff_id != source.diff_id:
                raise LayerMismatch(source.blob.digest, source.diff_id, unpacked.diff_id)
            await asyncio.to_thread(self._layers.commit, source.chain, tree, unpacked.size)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._layers.discard, tree))
            raise

    async def _extract(self, source: LayerSource, tree: Path) -> Unpacked:
        blob = self._content.path(source.blob.digest)
        parents = [self._layers.path(c) for c in reversed(source.below)]
        try:
            return await self._extractor.unpack(blob, compression_of(source.blob.media_type), tree, parents)
        except WharfError as error:
            raise ExtractFailed(source.blob.digest, str(error)) from error
        except OSError as error:
            raise ExtractFailed(source.blob.digest, os_errors.text(error)) from error

    async def close(self) -> None:
        """Stop all work."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
