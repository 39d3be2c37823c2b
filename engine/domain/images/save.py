"""`docker save`: images as an OCI layout with a `manifest.json` beside it, blob for blob as they were fetched."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from engine.core import references
from engine.core.model.image import Descriptor, Image, Platform, StoredImage
from engine.core.references import Reference
from engine.domain.images import lookup
from engine.domain.images.announce import Announcer
from engine.domain.images.archive import IMAGE_NAME, REF_NAME
from engine.domain.images.catalog import Catalog
from engine.domain.images.documents import OCI_INDEX, descriptor_json
from engine.domain.images.failures import ManifestNotHere, NothingToSave, PlatformNotProvided
from engine.domain.images.garbage import Garbage, Needs
from engine.domain.images.images import Images, choose, preferred
from engine.drivers.storage import tar_stream
from engine.drivers.storage.content import BlobMissing, ContentStore

_CHUNK = 1 << 20
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(frozen=True, slots=True)
class Saved:
    """An image to be saved and the name that is saved with it; with `only`, that platform of it."""

    stored: StoredImage
    name: Reference | None
    only: Image | None = None

    @property
    def target(self) -> Descriptor:
        """What the archive's index points at."""
        return self.stored.target if self.only is None else self.only.manifest


class Saver:
    """Saves images."""

    def __init__(self, catalog: Catalog, images: Images, content: ContentStore, announcer: Announcer) -> None:
        self._catalog = catalog
        self._images = images
        self._content = content
        self._announcer = announcer

    def choose(self, texts: Sequence[str], platform: Platform | None = None) -> list[Saved]:
        """Return what names and ids mean; a name without a tag means all its tags.

        Raises ImageNotFound, NothingToSave, ManifestNotHere.
        """
        return [_narrowed(saved, text, platform) for text in texts for saved in self._meant(text)]

    def _meant(self, text: str) -> list[Saved]:
        found = self._tags(text)
        if found:
            return found
        stored = self._images.find(text)
        if lookup.is_id(stored, text):
            return [Saved(stored, None)]
        reference = references.parse(text).with_default_tag()
        return [Saved(stored, None if reference.digest else reference)]

    def _tags(self, text: str) -> list[Saved]:
        """Return all tags of a repository that is named without one."""
        if text.startswith("sha256:"):
            return []
        try:
            wanted = references.parse(text)
        except references.HexadecimalName:
            return []
        if wanted.tag or wanted.digest:
            return []
        names = [(references.parse(n.name), n.target) for n in self._catalog.names()]
        ours = sorted(((r, t) for r, t in names if r.name == wanted.name and r.tag), key=lambda n: str(n[0]))
        return [Saved(stored, r) for r, t in ours if (stored := self._catalog.get(t)) is not None]

    async def save(self, chosen: Sequence[Saved], garbage: Garbage) -> AsyncIterator[bytes]:
        """Give the archive. What it holds cannot be deleted meanwhile. Raises BlobMissing, OSError."""
        blobs = self._blobs(chosen)
        with garbage.lease() as lease:
            for digest in blobs:
                await lease.blob(digest)
            async for chunk in packed(self._content, blobs, _documents(chosen)):
                yield chunk
            for saved in chosen:
                self._announcer.about("save", saved.stored.target.digest, image=preferred(saved.stored))

    def _blobs(self, chosen: Sequence[Saved]) -> list[str]:
        needs = Needs()
        for saved in chosen:
            if saved.only is None:
                needs.add_stored(saved.stored)
            else:
                needs.add_image(saved.only)
        missing = [b for b in needs.blobs if not self._content.has(b)]
        if missing:
            raise BlobMissing(missing[0])
        return sorted(needs.blobs)


async def packed(
    content: ContentStore, blobs: Sequence[str], documents: Iterable[tuple[str, bytes, int]]
) -> AsyncIterator[bytes]:
    """Give an archive of blobs, in the layout of OCI, and of documents (name, content, mode). Raises OSError."""
    if blobs:
        yield tar_stream.header("blobs/", 0, 0o755, directory=True)
        yield tar_stream.header("blobs/sha256/", 0, 0o755, directory=True)
    for digest in blobs:
        size = content.size(digest)
        yield tar_stream.header(f"blobs/sha256/{digest[7:]}", size, 0o444)
        async for chunk in _file(content.path(digest)):
            yield chunk
        yield tar_stream.padding(size)
    for name, data, mode in documents:
        yield tar_stream.header(name, len(data), mode) + data + tar_stream.padding(len(data))
    yield tar_stream.end()


def _narrowed(saved: Saved, text: str, platform: Platform | None) -> Saved:
    if not saved.stored.images:
        raise ManifestNotHere(saved.stored.manifests[0].digest)
    if platform is None:
        return saved
    try:
        return replace(saved, only=choose(saved.stored, text, platform))
    except PlatformNotProvided as error:
        raise NothingToSave(str(error)) from error


def blob_bytes(content: ContentStore, digest: str) -> AsyncIterator[bytes]:
    """Give a blob's bytes, reading a piece ahead of the reader. Raises OSError."""
    return _file(content.path(digest))


async def _file(path: Path) -> AsyncIterator[bytes]:
    """Give a file's bytes, reading a piece ahead of the reader."""
    fd = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while chunk := await asyncio.to_thread(os.read, fd, _CHUNK):
            yield chunk
    finally:
        os.close(fd)


def _documents(chosen: Sequence[Saved]) -> Iterator[tuple[str, bytes, int]]:
    manifests = [_entry(saved) for saved in chosen]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    yield "index.json", msgspec.json.encode(index), 0o644
    if chosen:
        yield "manifest.json", msgspec.json.encode(_old_entries(chosen)), 0o644
    yield "oci-layout", LAYOUT, 0o444


def _entry(saved: Saved) -> dict[str, object]:
    entry = descriptor_json(saved.target)
    if saved.name is not None:
        entry["annotations"] = {IMAGE_NAME: str(saved.name), REF_NAME: saved.name.tag}
    return entry


def _old_entries(chosen: Sequence[Saved]) -> list[dict[str, object]]:
    """Return the `manifest.json`, one entry for an image with all its names."""
    names: dict[str, list[str]] = {}
    images: dict[str, Image] = {}
    for saved in chosen:
        image = saved.only or preferred(saved.stored)
        images[image.manifest.digest] = image
        names.setdefault(image.manifest.digest, []).extend([saved.name.familiar] if saved.name else [])
    return [
        {
            "Config": blob_path(image.config_descriptor.digest),
            "RepoTags": names[digest] or None,
            "Layers": [blob_path(layer.digest) for layer in image.layers],
        }
        for digest, image in images.items()
    ]


def blob_path(digest: str) -> str:
    """Return where a layout has a blob."""
    return f"blobs/sha256/{digest.partition(':')[2]}"
