"""What images take on the disk: their blobs, their unpacked layers, and what they share."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from engine.core.digest import chain_ids
from engine.core.model.image import Image, StoredImage
from engine.drivers.storage.content import ContentStore
from engine.drivers.storage.layers import LayerStore


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes of all blobs and of all layers, in use or not."""

    content: int
    layers: int


class Sizer:
    """Measures images. All numbers are bytes and come from memory."""

    def __init__(self, content: ContentStore, layers: LayerStore) -> None:
        self._content = content
        self._layers = layers

    def content(self, image: Image) -> int:
        """Return the size of a platform's blobs: manifest, configuration, layers."""
        digests = {image.manifest.digest, image.config_descriptor.digest, *(d.digest for d in image.layers)}
        return sum(map(self._content.size, digests))

    def with_index(self, image: Image) -> int:
        """Return the size of a platform's blobs and of the index that names them."""
        index = 0 if image.manifest.digest == image.target.digest else self._content.size(image.target.digest)
        return index + self.content(image)

    def unpacked(self, image: Image) -> int:
        """Return the size of a platform's unpacked layers, 0 where some are not unpacked."""
        chains = chain_ids(image.diff_ids)
        return sum(map(self._layers.size, chains)) if chains and self._layers.has(chains[-1]) else 0

    def layer(self, chain: str) -> int:
        """Return the size of one unpacked layer."""
        return self._layers.size(chain)

    def total(self, stored: StoredImage) -> int:
        """Return the size of all platforms that are here, blobs and layers."""
        return sum(self.content(i) + self.unpacked(i) for i in stored.images)

    def shared(self, images: Iterable[StoredImage]) -> dict[str, int]:
        """Return how much of each image's layers other images have, too, by the image's id."""
        chains = {s.target.digest: _chains(s) for s in images}
        users = Counter(chain for of_one in chains.values() for chain in of_one)
        return {target: sum(self._layers.size(c) for c in of_one if users[c] > 1) for target, of_one in chains.items()}

    def disk_use(self) -> DiskUse:
        """Return what the two stores hold."""
        content = sum(map(self._content.size, self._content.all()))
        return DiskUse(content, sum(map(self._layers.size, self._layers.all())))


def _chains(stored: StoredImage) -> set[str]:
    return {chain for image in stored.images for chain in chain_ids(image.diff_ids)}
