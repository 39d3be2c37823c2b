"""`docker import`: a tar archive of a whole file system becomes an image of one layer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from engine.core import times
from engine.core.model.container import ContainerConfig
from engine.core.model.image import Descriptor, HistoryEntry, Image, StoredImage
from engine.core.references import Reference
from engine.domain.images import changes
from engine.domain.images.announce import Announcer
from engine.domain.images.documents import OCI_LAYER
from engine.domain.images.platforms import host, parse_platform
from engine.domain.images.pull import Stores
from engine.domain.images.unpack import layer_sources
from engine.domain.images.write import write_image
from engine.drivers.storage import layer_blob
from engine.drivers.storage.layer_blob import LayerBlob


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a client asks for: a name or none, a comment, Dockerfile instructions, a platform (empty: this host's)."""

    name: Reference | None
    message: str
    changes: Sequence[str] = ()
    platform: str = ""


class Importer:
    """Imports archives."""

    def __init__(self, stores: Stores, announcer: Announcer) -> None:
        self._stores = stores
        self._announcer = announcer

    async def import_archive(self, options: ImportOptions, chunks: AsyncIterator[bytes]) -> str:
        """Make an image and return its id. Raises InvalidParameter before anything is read, then ExtractFailed, …"""
        config = changes.apply(ContainerConfig(), options.changes)
        platform = parse_platform(options.platform) if options.platform else host()
        with self._stores.garbage.lease() as lease:
            blob = await layer_blob.store(self._stores.content, chunks)
            await lease.blob(blob.digest)
            layer = _layer(blob)
            draft = Image(
                id="",
                target=layer,
                manifest=layer,
                config_descriptor=layer,
                created=times.now(),
                platform=platform,
                config=config,
                diff_ids=[blob.diff_id],
                layers=[layer],
                history=[HistoryEntry(created=times.now(), comment=options.message)],
                comment=options.message,
            )
            image = await write_image(self._stores.content, lease, draft)
            for source in layer_sources(image):
                await lease.chain(source.chain)
                await self._stores.unpacker.ensure(source)
            stored = StoredImage(target=image.target, manifests=[image.target], images=[image])
            await asyncio.shield(asyncio.ensure_future(self._stores.catalog.add(stored, options.name)))
        if options.name is not None:
            self._announcer.about("tag", image.id, options.name.familiar, image)
        self._announcer.about("import", image.id, image=image)
        return image.id


def _layer(blob: LayerBlob) -> Descriptor:
    return Descriptor(media_type=f"{OCI_LAYER}+{blob.compression}", digest=blob.digest, size=blob.size)
