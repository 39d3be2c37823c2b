"""`--cache-from`: images that tell which steps made their layers, so that a step need not be done where one has them.

They are at a registry, or in a layout in a directory of the client's. An image made with `--cache-to` has the keys of
its steps in its configuration. They are believed: whoever names an image as a cache trusts it.
"""

import asyncio
import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.core import references
from engine.core.errors import InvalidParameter, WharfError
from engine.core.model.image import Descriptor
from engine.domain.builder.job import CachePlace, Job
from engine.domain.builder.snapshot import Snapshot
from engine.domain.builder.solver.executors import Report
from engine.domain.builder.sources.client_origin import ClientOrigin
from engine.domain.builder.sources.image import ImageSource
from engine.domain.builder.sources.resolve import FoundImage, ImageResolver, vertex

log = logging.getLogger(__name__)
FIELD = "wharf.cache.v0"
"""The key in an image's configuration: a list of steps' keys and how many of the image's layers each has made."""


class CacheWithoutDigest(InvalidParameter):
    """Which cache of a directory is meant is not said."""

    def __init__(self) -> None:
        super().__init__("local cache importer requires explicit digest")


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a step: an image that has its result in the lowest layers."""

    image: FoundImage
    layers: int


class ImportedCache:
    """Looks steps up in the images that a build names."""

    def __init__(self, resolver: ImageResolver, images: ImageSource) -> None:
        self._resolver = resolver
        self._images = images

    async def find(self, key: str, job: Job, report: Report) -> Snapshot | None:
        """Return what a step made, pulled where it must be; None where no image tells. Raises WharfError, OSError."""
        if not job.cache_from:
            return None
        memo = "imported caches"
        if memo not in job.runs:
            job.runs[memo] = job.spawn(self._read_all(job), memo)
        known: Mapping[str, _Known] = await asyncio.shield(job.runs[memo])
        if key not in known:
            return None
        tree = await self._images.bring(known[key].image, job, report)
        return Snapshot(tree.layers[: known[key].layers])

    async def _read_all(self, job: Job) -> Mapping[str, _Known]:
        found: dict[str, _Known] = {}
        for known in await asyncio.gather(*(self._read(place, job) for place in job.cache_from)):
            found = {**known, **found}
        return found

    async def _read(self, place: CachePlace, job: Job) -> Mapping[str, _Known]:
        """A cache that cannot be read is none; the progress says why."""
        name = place.reference or f"local:{zlib.crc32(f'{place.directory} {place.digest}'.encode())}"
        try:
            async with vertex(f"importing cache manifest from {name}", job):
                images = await self._images_of(place, job)
                configs = [await self._resolver.config(each) for each in images]
        except (WharfError, OSError) as error:
            log.info("the cache of %s is not used: %s", name, error)
            return {}
        return {
            key: _Known(image, count)
            for image, config in zip(images, configs, strict=True)
            for key, count in entries_of(config, len(image.image.layers))
        }

    async def _images_of(self, place: CachePlace, job: Job) -> Sequence[FoundImage]:
        if place.reference:
            return await self._resolver.caches(references.parse(place.reference).with_default_tag(), job)
        if not place.digest:
            raise CacheWithoutDigest
        store = await job.session.store(f"local:{place.directory}")
        target = Descriptor(media_type="", digest=place.digest, size=await store.size(place.digest))
        return await self._resolver.all_of(target, ClientOrigin(store), job)


def entries_of(config: bytes, layers: int) -> list[tuple[str, int]]:
    """Return the keys in an image's configuration with the number of layers of each; none where it tells none."""
    try:
        found = msgspec.json.decode(config, type=dict[str, Any]).get(FIELD)
    except msgspec.DecodeError:
        return []
    entries: Sequence[Any] = found if isinstance(found, list) else ()
    return [
        (entry["key"], entry["layers"])
        for entry in entries
        if isinstance(entry, dict)
        and isinstance(entry.get("key"), str)
        and isinstance(entry.get("layers"), int)
        and 0 < entry["layers"] <= layers
    ]
