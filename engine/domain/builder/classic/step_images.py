"""The image of each step: made, remembered with what it was made from, and found again by the next build.

As in dockerd, a step is done before when its parent has an image that was made by the same step with the same outcome
for the configuration; whoever removes that image has the step done anew.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from engine.core import digest as digests
from engine.core import times
from engine.core.model.image import Descriptor, Image, StoredImage
from engine.domain.builder.dockerfile.convert import image_config
from engine.domain.builder.dockerfile.convert.image_config import History, ImageConfig, RootFs
from engine.domain.builder.snapshot import NamedLayer
from engine.domain.images.config import read_image
from engine.domain.images.documents import OCI_CONFIG, OCI_MANIFEST, Manifest, descriptor_json
from engine.domain.images.pull import Stores
from engine.state.store import Delete, Put, Store

KIND = "build-step"


class StepRecord(Struct, frozen=True, kw_only=True):
    """The image that a step has made."""

    image: str


@dataclass(frozen=True, slots=True)
class Draft:
    """An image to be: its configuration, what its last step was, its parent's id, and all of its layers.

    `adds_layer`: the last of them is the step's own.
    """

    config: ImageConfig
    created_by: str
    parent: str
    layers: Sequence[NamedLayer] = ()
    adds_layer: bool = False

    @property
    def key(self) -> str:
        """What tells the step from others: equal for equal steps on the same parent."""
        plain = self.config.clone()
        plain.created, plain.history, plain.rootfs = None, None, RootFs()
        parts = (self.parent, self.created_by, image_config.write(plain).decode())
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


class StepImages:
    """All images that steps have made."""

    def __init__(self, store: Store, stores: Stores) -> None:
        """Read the records. Blocks; used at start-up only."""
        self._store = store
        self._stores = stores
        self._known = store.load(KIND, StepRecord)

    async def find(self, key: str, allowed: Collection[str] | None = None) -> Image | None:
        """Return the image of a step, where it is still there and among those that are allowed."""
        record = self._known.get(key)
        if record is None:
            return None
        stored = self._stores.catalog.get(record.image)
        if stored is None:
            del self._known[key]
            await self._store.commit(Delete(KIND, key))
            return None
        return stored.images[0] if allowed is None or record.image in allowed else None

    def ancestry(self, image_ids: Collection[str]) -> set[str]:
        """Return images and all that they were made from."""
        found: set[str] = set()
        pending = list(image_ids)
        while pending:
            image_id = pending.pop()
            stored = self._stores.catalog.get(image_id)
            if stored is not None and image_id not in found:
                found.add(image_id)
                pending.append(stored.parent)
        return found

    async def configuration(self, image: Image) -> bytes:
        """Return an image's configuration as it is stored. Raises BlobMissing, OSError."""
        return await self._stores.content.read(image.config_descriptor.digest)

    async def make(self, draft: Draft) -> Image:
        """Store the image of a step. Its layers must be kept by whoever asks. Raises OSError."""
        with self._stores.garbage.lease() as lease:
            now = times.rfc3339(times.now())
            config = _with_step(draft, now)
            data = image_config.write(config)
            config_at = Descriptor(media_type=OCI_CONFIG, digest=digests.of(data), size=len(data))
            document = {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": descriptor_json(config_at),
                "layers": [descriptor_json(layer.blob) for layer in draft.layers],
            }
            manifest = msgspec.json.encode(document)
            target = Descriptor(media_type=OCI_MANIFEST, digest=digests.of(manifest), size=len(manifest))
            for content, at in ((data, config_at), (manifest, target)):
                await lease.blob(at.digest)
                await self._stores.content.put(content, at.digest)
            for layer in draft.layers:
                await lease.blob(layer.blob.digest)
                await lease.chain(layer.chain)
            image = read_image(
                target, target, Manifest(config=config_at, layers=[each.blob for each in draft.layers]), data
            )
            stored = StoredImage(target=target, manifests=[target], images=[image], parent=draft.parent)
            await self._stores.catalog.add(stored, None)
        self._known[draft.key] = StepRecord(image=image.id)
        await self._store.commit(Put(KIND, draft.key, self._known[draft.key]))
        return image


def _with_step(draft: Draft, now: str) -> ImageConfig:
    config = draft.config.clone()
    config.created = now
    config.rootfs = RootFs(diff_ids=[layer.diff_id for layer in draft.layers])
    step = History(created=now, created_by=draft.created_by, author=config.author, empty_layer=not draft.adds_layer)
    config.history = [*(config.history or []), step]
    return config
