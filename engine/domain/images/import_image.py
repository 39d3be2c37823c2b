"""`docker import`: a tar archive of a whole file system becomes an image of one layer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec

from engine.core import digest as digests
from engine.core import times
from engine.core.model.container import ContainerConfig
from engine.core.model.image import Descriptor, HistoryEntry, Image, StoredImage
from engine.core.references import Reference
from engine.domain.images import changes
from engine.domain.images.announce import Announcer
from engine.domain.images.config import write_config
from engine.domain.images.documents import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, descriptor_json
from engine.domain.images.garbage import Lease
from engine.domain.images.platforms import host, parse_platform
from engine.domain.images.pull import Stores
from engine.domain.images.unpack import layer_sources
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
            image = await self._write(draft, lease)
            for source in layer_sources(image):
                await lease.chain(source.chain)
                await self._stores.unpacker.ensure(source)
            stored = StoredImage(target=image.target, manifests=[image.target], images=[image])
            await asyncio.shield(asyncio.ensure_future(self._stores.catalog.add(stored, options.name)))
        if options.name is not None:
            self._announcer.about("tag", image.id, options.name.familiar, image)
        self._announcer.about("import", image.id, image=image)
        return image.id

    async def _write(self, draft: Image, lease: Lease) -> Image:
        """Store the configuration and the manifest; return the image with what points at them."""
        config = write_config(draft)
        config_at = Descriptor(media_type=OCI_CONFIG, digest=digests.of(config), size=len(config))
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor_json(config_at),
            "layers": [descriptor_json(layer) for layer in draft.layers],
        }
        manifest = msgspec.json.encode(document)
        target = Descriptor(media_type=OCI_MANIFEST, digest=digests.of(manifest), size=len(manifest))
        for data, at in ((config, config_at), (manifest, target)):
            await lease.blob(at.digest)
            await self._stores.content.put(data, at.digest)
        return msgspec.structs.replace(
            draft, id=target.digest, target=target, manifest=target, config_descriptor=config_at
        )


def _layer(blob: LayerBlob) -> Descriptor:
    return Descriptor(media_type=f"{OCI_LAYER}+{blob.compression}", digest=blob.digest, size=blob.size)
