"""Images as the other parts of the daemon see them: find one, hold one, have it unpacked."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from engine.core import times
from engine.core.digest import chain_ids
from engine.core.errors import WharfError
from engine.core.model.image import Image, Platform, StoredImage
from engine.domain.images import host_cpu, lookup
from engine.domain.images.catalog import Catalog
from engine.domain.images.failures import NoPlatformProvided, PlatformNotProvided
from engine.domain.images.garbage import Garbage, needs_of
from engine.domain.images.platforms import best, format_platform, host, parse_platform, same
from engine.domain.images.unpack import Unpacker, layer_sources


@dataclass(frozen=True, slots=True)
class Hold:
    """What a container needs of an image: which of its manifests it was made from, and the layers, by chain ID.

    The layers stay whatever becomes of the image.
    """

    image_id: str
    manifest: str = ""
    layers: Sequence[str] = ()


def hold_of(image: Image) -> Hold:
    """Return what a container made from this image needs."""
    return Hold(image.id, image.manifest.digest, chain_ids(image.diff_ids))


class Images:
    """All images. Holders are the ids of containers, with `/…` for an image that one mounts."""

    def __init__(self, catalog: Catalog, garbage: Garbage, unpacker: Unpacker) -> None:
        self._catalog = catalog
        self._garbage = garbage
        self._unpacker = unpacker
        self._holders: dict[str, dict[str, str]] = {}
        self._given_back: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, reference: str) -> StoredImage:
        """Return an image with all its platforms. Raises ImageNotFound, InvalidReference."""
        return lookup.find(self._catalog, reference)

    def resolve(self, reference: str, platform: str = "") -> Image:
        """Return an image for a platform, this host's where none is named or, failing that, whichever there is.

        Raises ImageNotFound, PlatformNotProvided, InvalidPlatform, InvalidReference.
        """
        wanted = parse_platform(platform) if platform else None
        return choose(self.find(reference), reference, wanted)

    def id_of(self, reference: str) -> str | None:
        """Return the id of the image that is meant, None where there is none."""
        try:
            return self.find(reference).target.digest
        except WharfError:
            return None

    def acquire(self, holder: str, hold: Hold) -> None:
        """Keep an image's layers for a container. Taking it twice is taking it once."""
        self._holders.setdefault(hold.image_id, {})[holder] = hold.manifest
        if hold.layers:
            self._garbage.held[holder] = tuple(hold.layers)

    def release(self, image_id: str, holder: str) -> None:
        """Give an image back; one that is deleted and held no more goes in the background."""
        self._garbage.held.pop(holder, None)
        self._given_back[image_id] = times.now()
        holders = self._holders.get(image_id, {})
        holders.pop(holder, None)
        if holders:
            return
        self._holders.pop(image_id, None)
        stored = self._catalog.get_any(image_id)
        if stored is not None and stored.deleted:
            task = asyncio.get_running_loop().create_task(self._drop(stored), name=f"drop-{image_id[7:19]}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def holders(self, image_id: str, manifest: str = "") -> list[str]:
        """Return the containers that were made from an image, or from that one of its manifests, or mount it."""
        holders = self._holders.get(image_id, {})
        return sorted({h.partition("/")[0] for h, made_from in holders.items() if manifest in ("", made_from)})

    def last_used(self, stored: StoredImage) -> int:
        """Return when an image came, got a name, or was given back last, in nanoseconds since the epoch."""
        named = (n.tagged_at for n in self._catalog.names_of(stored.target.digest))
        return max(stored.stored_at, self._given_back.get(stored.target.digest, 0), *named)

    async def unpacked(self, image: Image) -> list[str]:
        """Return the chain IDs of an image's layers, bottom first, having unpacked what was missing.

        Raises ExtractFailed, LayerMismatch, BlobMissing.
        """
        for source in layer_sources(image):
            await self._unpacker.ensure(source)
        return list(chain_ids(image.diff_ids))

    async def restored(self) -> None:
        """Delete what a killed daemon has left. To be called once, after all containers have taken their images."""
        for stored in self._catalog.everything():
            if stored.deleted and not self._holders.get(stored.target.digest):
                await self._catalog.remove(stored.target.digest, held=False)
        await self._garbage.collect_all()

    async def _drop(self, stored: StoredImage) -> None:
        current = self._catalog.get_any(stored.target.digest)
        if current is not None and current.deleted and not self._holders.get(stored.target.digest):
            await self._catalog.remove(stored.target.digest, held=False)
            await self._garbage.collect(needs_of(stored))

    async def close(self) -> None:
        """Finish deletions under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


def choose(stored: StoredImage, reference: str, wanted: Platform | None) -> Image:
    """Return the platform's image. Raises PlatformNotProvided, NoPlatformProvided."""
    if wanted is not None:
        found = of_platform(stored, wanted)
        if found is None:
            raise PlatformNotProvided(reference, wanted)
        return found
    if not stored.images:
        raise NoPlatformProvided(reference)
    return preferred(stored)


def of_platform(stored: StoredImage, wanted: Platform) -> Image | None:
    """Return what is here for a platform, None where there is nothing."""
    return next((i for i in stored.images if same(wanted, platform_of(i))), None)


def for_host(stored: StoredImage) -> Image | None:
    """Return the image that suits this host best, None where none does."""
    position = best(host(), [platform_of(i) for i in stored.images])
    return stored.images[position] if position >= 0 else None


def preferred(stored: StoredImage) -> Image:
    """Return the image that suits this host best, the first where none does, a blank one where none is here."""
    if not stored.images:
        target = stored.target
        return Image(id=target.digest, target=target, manifest=target, config_descriptor=target)
    return for_host(stored) or stored.images[0]


def platform_warnings(image: Image) -> list[str]:
    """Return what a client must hear of an image that is for another kind of host."""
    found = platform_of(image)
    if not found.architecture or best(host(), [found]) >= 0:
        return []
    here = replace(host(), variant=host_cpu.amd64_level()) if host().architecture == "amd64" else host()
    text = (
        f"The requested image's platform ({format_platform(found)}) does not match the detected host platform "
        f"({format_platform(here)}) and no specific platform was requested"
    )
    return [text]


def platform_of(image: Image) -> Platform:
    """Return what an image is for: an index knows the variant, a lone manifest's configuration the rest."""
    indexed = image.manifest.platform
    return indexed if indexed is not None and indexed.architecture else image.platform
