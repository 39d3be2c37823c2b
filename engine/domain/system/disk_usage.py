"""`docker system df`: what images, containers, volumes and the build cache take on the disk."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.core.errors import InvalidParameter, WharfError
from engine.core.model.container import Container
from engine.domain.builder.usage import CacheUsage
from engine.domain.builder.usage import Usage as CacheRecordUsage
from engine.domain.containers.sizes import Sizer as ContainerSizer
from engine.domain.containers.sizes import Sizes
from engine.domain.containers.table import ContainerTable
from engine.domain.images.selection import Lister, Listing, Summary
from engine.domain.images.sizes import Sizer as ImageSizer
from engine.domain.volumes.volumes import Usage, Volumes

log = logging.getLogger(__name__)
_AT_ONCE = 4


class Kind(StrEnum):
    """What can be asked for."""

    CONTAINER = "container"
    IMAGE = "image"
    VOLUME = "volume"
    BUILD_CACHE = "build-cache"


class UnknownKind(InvalidParameter):
    """A `type` that there is not."""

    def __init__(self, text: str) -> None:
        super().__init__(f"unknown object type: {text}")


def parse_kinds(texts: Sequence[str]) -> Collection[Kind]:
    """Return the kinds that are asked for, all where none is. Raises UnknownKind."""
    for text in texts:
        if text not in set(Kind):
            raise UnknownKind(text)
    return {Kind(t) for t in texts} if texts else set(Kind)


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Bytes by object; None for what was not asked for."""

    layers: int = 0
    images: Sequence[Summary] | None = None
    containers: Sequence[tuple[Container, Sizes]] | None = None
    volumes: Sequence[Usage] | None = None
    build_cache: Sequence[CacheRecordUsage] | None = None


class DiskUsageMeter:
    """Measures."""

    def __init__(
        self,
        lister: Lister,
        image_sizer: ImageSizer,
        table: ContainerTable,
        container_sizer: ContainerSizer,
        volumes: Volumes,
        build_cache: CacheUsage,
    ) -> None:
        self._lister = lister
        self._image_sizer = image_sizer
        self._table = table
        self._container_sizer = container_sizer
        self._volumes = volumes
        self._build_cache = build_cache

    async def measure(self, kinds: Collection[Kind]) -> DiskUsage:
        """Measure the kinds; images from memory, containers and volumes by walking their trees."""
        images = self._lister.list(Listing(shared_size=True)) if Kind.IMAGE in kinds else None
        return DiskUsage(
            layers=self._layers() if Kind.IMAGE in kinds else 0,
            images=images,
            containers=await self._containers() if Kind.CONTAINER in kinds else None,
            volumes=await self._volumes.usage() if Kind.VOLUME in kinds else None,
            build_cache=await self._build_cache.all() if Kind.BUILD_CACHE in kinds else None,
        )

    def _layers(self) -> int:
        use = self._image_sizer.disk_use()
        return use.content + use.layers

    async def _containers(self) -> list[tuple[Container, Sizes]]:
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def measured(container: Container) -> tuple[Container, Sizes] | None:
            async with at_once:
                try:
                    return container, await self._container_sizer.measure(container)
                except (OSError, WharfError) as error:
                    # Most likely it has been removed meanwhile.
                    log.info("container %s is not measured: %s", container.id, error)
                    return None

        containers = sorted(self._table.all(), key=lambda c: c.created_at, reverse=True)
        return [m for m in await asyncio.gather(*(measured(c) for c in containers)) if m is not None]
