"""`--cache-from`: images that tell which steps made their layers, so that a step need not be done where one has them.

An image made with `--cache-to type=inline` has the keys of its steps in its configuration. They are believed: whoever
names an image as a cache trusts it.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.core import references
from engine.core.errors import WharfError
from engine.domain.builder.job import Job
from engine.domain.builder.snapshot import Snapshot
from engine.domain.builder.solver.executors import Report
from engine.domain.builder.sources.image import ImageSource
from engine.domain.builder.sources.resolve import FoundImage, ImageResolver, vertex
from engine.drivers.storage.content import ContentStore

log = logging.getLogger(__name__)
FIELD = "wharf.cache.v0"
"""The key in an image's configuration: a list of steps' keys and how many of the image's layers each has made."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a step: an image that has its result in the lowest layers."""

    image: FoundImage
    layers: int


class ImportedCache:
    """Looks steps up in the images that a build names."""

    def __init__(self, resolver: ImageResolver, images: ImageSource, content: ContentStore) -> None:
        self._resolver = resolver
        self._images = images
        self._content = content

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
        for known in await asyncio.gather(*(self._read(name, job) for name in job.cache_from)):
            found = {**known, **found}
        return found

    async def _read(self, name: str, job: Job) -> Mapping[str, _Known]:
        """A cache that cannot be read is none; the progress says why."""
        try:
            async with vertex(f"importing cache manifest from {name}", job):
                reference = references.parse(name).with_default_tag()
                images = await self._resolver.caches(reference, job)
                configs = [await self._content.read(each.image.config_descriptor.digest) for each in images]
        except (WharfError, OSError) as error:
            log.info("the cache of %s is not used: %s", name, error)
            return {}
        return {
            key: _Known(image, count)
            for image, config in zip(images, configs, strict=True)
            for key, count in entries_of(config, len(image.image.layers))
        }


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
