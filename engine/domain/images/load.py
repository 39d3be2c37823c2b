"""`docker load`: images out of an archive, exactly as they were when they were saved."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from engine.core import digest as digests
from engine.core.model.image import Descriptor, Image, Platform, StoredImage
from engine.core.references import Reference
from engine.domain.images import documents
from engine.domain.images.announce import Announcer
from engine.domain.images.archive import ArchivedImage, OldImage, converted, layout_images, old_images
from engine.domain.images.config import read_image
from engine.domain.images.documents import DOCKER_MANIFEST, Index, Manifest
from engine.domain.images.failures import MalformedImage, PlatformNotLoaded, UnrecognizedArchive
from engine.domain.images.garbage import Lease
from engine.domain.images.images import for_host, of_platform, preferred
from engine.domain.images.progress import Sink, Text
from engine.domain.images.pull import Stores, require_layers
from engine.domain.images.unpack import layer_sources
from engine.domain.images.unpack_archive import ArchiveFiles
from engine.drivers.storage.inflate import DecompressionFailed, decompressed
from engine.drivers.storage.tar_stream import Bytes, TarReader


class Loader:
    """Loads archives."""

    def __init__(self, stores: Stores, announcer: Announcer) -> None:
        self._stores = stores
        self._announcer = announcer

    async def load(self, chunks: AsyncIterator[bytes], sink: Sink, platform: Platform | None = None) -> None:
        """Load all images of an archive, plain or compressed, and tell their names. Raises WharfError, OSError.

        All platforms are kept, one is unpacked: the given one, or this host's where that is there.
        """
        source = Bytes(decompressed(chunks))
        with self._stores.garbage.lease() as lease:
            files = ArchiveFiles(self._stores.content, lease)
            await files.read(TarReader(source))
            with contextlib.suppress(DecompressionFailed):  # Behind the archive's end anything may follow.
                await source.drain()
            images = await self._images(files, lease)
            for image in images:
                stored = await self._describe(image.target, lease)
                wanted = for_host(stored) if platform is None else of_platform(stored, platform)
                await self._hold(stored, lease)
                if wanted is not None:
                    await self._unpack(wanted)
                await self._record(stored, image)
                if platform is not None and wanted is None:
                    raise PlatformNotLoaded(_shown(stored, image), platform)
                for name in image.names or (None,):
                    await sink(Text(f"Loaded {_called(stored, name)}\n"))
        self._stores.garbage.soon(lease.needs)

    async def _images(self, files: ArchiveFiles, lease: Lease) -> list[ArchivedImage]:
        index, manifest = files.documents.get("index.json"), files.documents.get("manifest.json")
        if index is not None and "oci-layout" in files.documents:
            return layout_images(index)
        if manifest is None:
            raise UnrecognizedArchive
        return [await self._convert(image, files, lease) for image in old_images(manifest)]

    async def _convert(self, image: OldImage, files: ArchiveFiles, lease: Lease) -> ArchivedImage:
        data = converted(image, files.files)
        digest = digests.of(data)
        await lease.blob(digest)
        await self._stores.content.put(data)
        return ArchivedImage(Descriptor(media_type=DOCKER_MANIFEST, digest=digest, size=len(data)), image.names)

    async def _describe(self, target: Descriptor, lease: Lease) -> StoredImage:
        """Return an image with those of its platforms that are complete in the archive. Raises MalformedImage."""
        await lease.blob(target.digest)
        document = documents.parse(await self._stores.content.read(target.digest), target.media_type)
        if isinstance(document, Manifest):
            image = await self._image(target, target, document)
            return StoredImage(target=target, manifests=[target], images=[image])
        images = await self._platforms(target, document)
        if not images:
            raise MalformedImage(f"image {target.digest} has no complete platform in the archive")
        return StoredImage(target=target, manifests=document.manifests, images=images)

    async def _platforms(self, target: Descriptor, index: Index) -> list[Image]:
        found = []
        for entry in index.manifests:
            if documents.is_attestation(entry) or not self._stores.content.has(entry.digest):
                continue
            manifest = documents.parse(await self._stores.content.read(entry.digest), entry.media_type)
            if isinstance(manifest, Manifest) and self._is_complete(manifest):
                found.append(await self._image(target, entry, manifest))
        return found

    def _is_complete(self, manifest: Manifest) -> bool:
        return all(self._stores.content.has(d.digest) for d in (manifest.config, *manifest.layers))

    async def _image(self, target: Descriptor, entry: Descriptor, manifest: Manifest) -> Image:
        require_layers(manifest)
        return read_image(target, entry, manifest, await self._stores.content.read(manifest.config.digest))

    async def _hold(self, stored: StoredImage, lease: Lease) -> None:
        for image in stored.images:
            await lease.blob(image.config_descriptor.digest)
            for source in layer_sources(image):
                await lease.blob(source.blob.digest)
                await lease.chain(source.chain)

    async def _unpack(self, image: Image) -> None:
        for source in layer_sources(image):
            await self._stores.unpacker.ensure(source)

    async def _record(self, stored: StoredImage, image: ArchivedImage) -> None:
        for name in image.names or (None,):
            await asyncio.shield(asyncio.ensure_future(self._stores.catalog.add(stored, name)))
        self._announcer.about("load", stored.target.digest, image=preferred(stored))


def _called(stored: StoredImage, name: Reference | None) -> str:
    return f"image: {name.familiar}" if name else f"image ID: {stored.target.digest}"


def _shown(stored: StoredImage, image: ArchivedImage) -> str:
    return image.names[0].familiar if image.names else stored.target.digest
