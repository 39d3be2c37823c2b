"""An image from another one and a layer on it: the image half of `docker commit`."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from engine.core import times
from engine.core.model.container import ContainerConfig
from engine.core.model.image import Descriptor, HistoryEntry, Image, Platform, StoredImage
from engine.core.references import Reference
from engine.domain.images.announce import Announcer
from engine.domain.images.documents import OCI_LAYER
from engine.domain.images.platforms import host
from engine.domain.images.pull import Stores
from engine.domain.images.unpack import layer_sources
from engine.domain.images.write import write_image
from engine.drivers.storage import layer_blob

_NOTHING = Descriptor(media_type="", digest="", size=0)


@dataclass(frozen=True, slots=True)
class CommitOptions:
    """What the new image is: a name or none, its configuration, and what its history says."""

    name: Reference | None
    config: ContainerConfig
    created_by: str = ""
    author: str = ""
    comment: str = ""


class Committer:
    """Makes images of one layer more."""

    def __init__(self, stores: Stores, announcer: Announcer) -> None:
        self._stores = stores
        self._announcer = announcer

    def base(self, image_id: str, manifest: str) -> Image:
        """Return the image that a container was made from, deleted or not; an empty one where it is gone."""
        stored = self._stores.catalog.get_any(image_id)
        for image in stored.images if stored else ():
            if not manifest or image.manifest.digest == manifest:
                return image
        return Image(id="", target=_NOTHING, manifest=_NOTHING, config_descriptor=_NOTHING, platform=host())

    async def commit(self, base: Image, options: CommitOptions, layer: AsyncIterator[bytes] | None) -> str:
        """Store the layer's archive, where there is one, and the image; return its id. Raises OSError, …."""
        with self._stores.garbage.lease() as lease:
            draft = _draft(base, options, empty=layer is None)
            if layer is not None:
                blob = await layer_blob.store(self._stores.content, layer)
                await lease.blob(blob.digest)
                at = Descriptor(media_type=f"{OCI_LAYER}+{blob.compression}", digest=blob.digest, size=blob.size)
                draft = msgspec.structs.replace(
                    draft, layers=[*base.layers, at], diff_ids=[*base.diff_ids, blob.diff_id]
                )
            image = await write_image(self._stores.content, lease, draft)
            for source in layer_sources(image):
                await lease.chain(source.chain)
                await self._stores.unpacker.ensure(source)
            stored = StoredImage(target=image.target, manifests=[image.target], images=[image], parent=base.id)
            await asyncio.shield(asyncio.ensure_future(self._stores.catalog.add(stored, options.name)))
        self._announcer.about("create", image.id, image=image)
        if options.name is not None:
            self._announcer.about("tag", image.id, options.name.familiar, image)
        return image.id


def _draft(base: Image, options: CommitOptions, *, empty: bool) -> Image:
    """Return the image without what points at it."""
    now = times.now()
    entry = HistoryEntry(
        created=now,
        created_by=options.created_by,
        author=options.author,
        comment=options.comment,
        empty_layer=empty,
    )
    return msgspec.structs.replace(
        base,
        created=now,
        author=options.author,
        comment=options.comment,
        docker_version="",
        platform=base.platform if base.platform != Platform() else host(),
        config=options.config,
        history=[*base.history, entry],
    )
