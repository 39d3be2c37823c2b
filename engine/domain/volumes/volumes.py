"""Named volumes: made, held, mounted, removed.

The record and the directory come and go in an order that a kill at any instant leaves repairable: the directory is
staged, then recorded, then named; it loses its name, then its record, then its content. `restore` finishes what was
interrupted. Data without a record is adopted, never removed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from engine.core import ids, times
from engine.core.filters import Filters
from engine.core.model.event import EventType
from engine.core.model.volume import Volume
from engine.domain.events.bus import EventBus
from engine.domain.volumes.failures import (
    VolumeCreationFailed,
    VolumeInUse,
    VolumeMountFailed,
    VolumeNotFound,
    VolumeRemovalFailed,
)
from engine.domain.volumes.holders import Holders
from engine.domain.volumes.request import LOCAL, VolumeRequest, labels_of, require_known_driver, require_valid
from engine.domain.volumes.selection import prunable, select
from engine.drivers.volumes.local import LocalVolumes
from engine.state.store import Delete, Put, Store

__all__ = ["Pruned", "Usage", "VolumeRequest", "Volumes"]
log = logging.getLogger(__name__)
KIND = "volume"
Measure = Callable[[Path], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Usage:
    """A volume, the bytes of its data, and how many containers hold it."""

    volume: Volume
    size: int
    holders: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """The names of removed volumes and the bytes that they took."""

    names: list[str]
    reclaimed: int


class Volumes:
    """All volumes by name. `restore` comes first; `drop_unused_mounts` when all containers are back."""

    def __init__(self, store: Store, local: LocalVolumes, bus: EventBus, measure: Measure) -> None:
        """`measure` returns the bytes below a directory."""
        self._store = store
        self._local = local
        self._bus = bus
        self._measure = measure
        self._volumes: dict[str, Volume] = {}
        self._holders = Holders()
        self._users = Holders()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def restore(self) -> None:
        """Read the records and make directories and records agree."""
        self._volumes = await asyncio.to_thread(self._store.load, KIND, Volume)
        survey = await asyncio.to_thread(self._local.survey)
        for name in survey.removed:
            if name not in survey.present and self._volumes.pop(name, None) is not None:
                await self._store.commit(Delete(KIND, name))
            await asyncio.to_thread(self._local.erase, name)
        for name in survey.new:
            unnamed = name in self._volumes and name not in survey.present
            await asyncio.to_thread(self._local.settle if unnamed else self._local.abandon, name)
        for name in survey.present - self._volumes.keys():
            await self._adopt(name)
        for name in self._volumes.keys() - survey.present - survey.new:
            log.warning("the data of volume %s is gone; it is empty now", name)
            await asyncio.to_thread(self._make_directory, name)

    async def _adopt(self, name: str) -> None:
        log.warning("volume %s has data and no record; it is kept", name)
        made_at = await asyncio.to_thread(self._local.made_at, name)
        volume = Volume(name=name, created_at=made_at, mountpoint=str(self._local.path(name)))
        await self._store.commit(Put(KIND, name, volume))
        self._volumes[name] = volume

    def _make_directory(self, name: str) -> None:
        """Blocks; call in a thread."""
        self._local.stage(name)
        self._local.settle(name)

    async def drop_unused_mounts(self) -> None:
        """Unmount what a previous daemon mounted and no container uses any more."""
        for volume in self._volumes.values():
            if volume.options and not self._users.of(volume.name):
                await asyncio.to_thread(self._local.unmount, volume.name)

    def get(self, name: str) -> Volume:
        """Return a volume. Raises VolumeNotFound."""
        found = self._volumes.get(name)
        if found is None:
            raise VolumeNotFound(name)
        return found

    def select(self, filters: Filters) -> list[Volume]:
        """Return the volumes that match, by name. Raises InvalidFilter."""
        return select(self._volumes.values(), filters, lambda name: bool(self._holders.of(name)))

    async def create(self, request: VolumeRequest) -> Volume:
        """Return the volume of that name, made where there is none. Raises VolumeDriverNotFound, InvalidParameter."""
        name = request.name or ids.new_id()
        require_known_driver(name, request.driver)
        present = self._volumes.get(name)
        if present is not None:
            return present
        require_valid(name, request.options or {})
        volume = Volume(
            name=name,
            created_at=times.now(),
            driver=LOCAL,
            mountpoint=str(self._local.path(name)),
            labels=labels_of(request),
            options=None if request.options is None else dict(request.options),
            anonymous=request.anonymous or not request.name,
        )
        return await self._create(volume)

    async def _create(self, volume: Volume) -> Volume:
        async with self._lock(volume.name):
            present = self._volumes.get(volume.name)
            if present is not None:
                return present
            try:
                await asyncio.to_thread(self._local.stage, volume.name)
                await self._store.commit(Put(KIND, volume.name, volume))
                await asyncio.to_thread(self._local.settle, volume.name)
            except OSError as error:
                await asyncio.to_thread(self._local.abandon, volume.name)
                raise VolumeCreationFailed(volume.name, error) from error
            self._volumes[volume.name] = volume
        self._publish("create", volume)
        return volume

    async def acquire(self, name: str, holder: str) -> None:
        """Keep a volume from being removed while `holder` has it."""
        self._holders.add(name, holder)

    def release(self, holder: str) -> None:
        """Let go of all that a holder has."""
        self._holders.discard_all(holder)

    async def mount(self, name: str, holder: str) -> str:
        """Make a volume's data available and return its path. Raises VolumeNotFound, VolumeMountFailed."""
        volume = self.get(name)
        if volume.options:
            await self._mount(volume, holder)
        return volume.mountpoint

    async def _mount(self, volume: Volume, holder: str) -> None:
        async with self._lock(volume.name):
            try:
                await asyncio.to_thread(self._local.mount, volume.name, volume.options or {})
            except OSError as error:
                raise VolumeMountFailed(volume.mountpoint, error) from error
            self._users.add(volume.name, holder)

    async def unmount(self, name: str, holder: str) -> None:
        """Let `holder` use a volume no longer; unmounts after the last one. Idempotent."""
        if holder in self._users.of(name):
            await self._unmount(name, holder)

    async def _unmount(self, name: str, holder: str) -> None:
        async with self._lock(name):
            self._users.discard(name, holder)
            if not self._users.of(name):
                await asyncio.to_thread(self._local.unmount, name)

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a volume and its data; with `force` one that does not exist is no error.

        Raises VolumeNotFound, VolumeInUse, VolumeRemovalFailed.
        """
        if force and name not in self._volumes:
            return
        await self._remove(self.get(name))

    async def remove_unused(self, name: str) -> None:
        """Remove an anonymous volume that nobody holds any more; nothing happens otherwise."""
        volume = self._volumes.get(name)
        if volume is None or not volume.anonymous or self._holders.of(name):
            return
        try:
            await self.remove(name, force=True)
        except (VolumeInUse, VolumeRemovalFailed) as error:
            log.warning("anonymous volume: %s", error)

    async def _remove(self, volume: Volume) -> None:
        async with self._lock(volume.name):
            self.get(volume.name)
            holders = self._holders.of(volume.name)
            if holders:
                raise VolumeInUse(volume.name, holders)
            try:
                await asyncio.to_thread(self._local.unmount, volume.name)
                await asyncio.to_thread(self._local.discard, volume.name)
                await self._store.commit(Delete(KIND, volume.name))
                del self._volumes[volume.name]
                await asyncio.to_thread(self._local.erase, volume.name)
            except OSError as error:
                raise VolumeRemovalFailed(volume.name, error) from error
        self._publish("destroy", volume)

    async def prune(self, filters: Filters, *, everything: bool) -> Pruned:
        """Remove volumes that nobody holds: anonymous ones, or all where `everything` or the filter `all` says so."""
        names, reclaimed = [], 0
        for volume in prunable(self._volumes.values(), filters, everything=everything):
            if self._holders.of(volume.name):
                continue
            size = await self._size(volume)
            try:
                await self.remove(volume.name)
            except (VolumeNotFound, VolumeInUse, VolumeRemovalFailed) as error:
                log.warning("prune: %s", error)
                continue
            names.append(volume.name)
            reclaimed += size
        self._bus.publish(EventType.VOLUME, "prune", "", {"reclaimed": str(reclaimed)})
        return Pruned(names, reclaimed)

    async def usage(self) -> list[Usage]:
        """Measure the volumes whose data is here: those without options."""
        found = [v for v in self._volumes.values() if not v.options]
        return [Usage(v, await self._size(v), len(self._holders.of(v.name))) for v in _by_name(found)]

    async def _size(self, volume: Volume) -> int:
        try:
            return await self._measure(Path(volume.mountpoint))
        except OSError as error:
            log.warning("volume %s cannot be measured: %s", volume.name, error)
            return 0

    def _publish(self, action: str, volume: Volume) -> None:
        self._bus.publish(EventType.VOLUME, action, volume.name, {"driver": volume.driver})

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            self._locks[name] = lock = asyncio.Lock()
        return lock


def _by_name(volumes: Iterable[Volume]) -> list[Volume]:
    return sorted(volumes, key=lambda v: v.name)
