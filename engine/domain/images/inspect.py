"""`docker image inspect`: one image with its names, its sizes and, where asked for, all platforms of its index."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.core.model.image import Descriptor, Image, Platform, StoredImage
from engine.domain.images import documents
from engine.domain.images.catalog import Catalog, image_of
from engine.domain.images.images import Images, choose, platform_of, preferred
from engine.domain.images.selection import shown_names
from engine.domain.images.sizes import Sizer


@dataclass(frozen=True, slots=True)
class Inspection:
    """An image as it is shown. `descriptor` is what its id points at; `size` in bytes."""

    id: str
    image: Image
    stored: StoredImage
    descriptor: Descriptor
    tags: Sequence[str]
    digests: Sequence[str]
    size: int
    tagged_at: int


@dataclass(frozen=True, slots=True)
class ManifestInfo:
    """One entry of an index. Sizes in bytes; `kind` is image, attestation or unknown."""

    descriptor: Descriptor
    available: bool
    kind: str
    platform: Platform
    content: int
    unpacked: int
    containers: Sequence[str]
    attested: str = ""


class Inspector:
    """Looks at images."""

    def __init__(self, catalog: Catalog, images: Images, sizer: Sizer) -> None:
        self._catalog = catalog
        self._images = images
        self._sizer = sizer

    def inspect(self, reference: str, platform: Platform | None = None) -> Inspection:
        """Return an image; with a platform, that platform's manifest. Raises ImageNotFound, PlatformNotProvided."""
        stored = self._images.find(reference)
        image = choose(stored, reference, platform) if platform is not None else preferred(stored)
        names = self._catalog.names_of(stored.target.digest)
        tags, digests = shown_names(names, stored.target.digest)
        descriptor = image.manifest if platform is not None else stored.target
        return Inspection(
            id=descriptor.digest,
            image=image,
            stored=stored,
            descriptor=descriptor,
            tags=tags,
            digests=digests,
            size=self._sizer.with_index(image),
            tagged_at=max((n.tagged_at for n in names), default=0),
        )

    def manifests(self, stored: StoredImage) -> list[ManifestInfo]:
        """Return the entries of an image's index, or the image's only manifest."""
        return [self._manifest(stored, descriptor) for descriptor in stored.manifests]

    def _manifest(self, stored: StoredImage, descriptor: Descriptor) -> ManifestInfo:
        image = image_of(stored, descriptor.digest)
        annotations = descriptor.annotations or {}
        return ManifestInfo(
            descriptor=descriptor,
            available=image is not None,
            kind="attestation" if documents.is_attestation(descriptor) else "image",
            platform=descriptor.platform or (platform_of(image) if image else Platform()),
            content=self._sizer.content(image) if image else 0,
            unpacked=self._sizer.unpacked(image) if image else 0,
            containers=self._images.holders(stored.target.digest, descriptor.digest),
            attested=annotations.get("vnd.docker.reference.digest", ""),
        )
