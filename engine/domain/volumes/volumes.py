"""Named volumes of all drivers: made, held, mounted, removed. Directories are `own.py`'s, plugins `of_plugins.py`'s."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from engine.core import ids, times
from engine.core.errors import WharfError
from engine.core.filters import Filters
from engine.core.model.event import EventType
from engine.core.model.volume import Volume
from engine.domain.events.bus import EventBus
from engine.domain.volumes.drivers import VolumeDrivers
from engine.domain.volumes.failures import VolumeInUse, VolumeNameTaken, VolumeNotFound, VolumeRemovalFailed
from engine.domain.volumes.holders import Holders
from engine.domain.volumes.of_plugins import PluginVolumes
from engine.domain.volumes.own import KIND, Measure, OwnVolumes
from engine.domain.volumes.request import LOCAL, VolumeRequest, labels_of, require_valid
from engine.domain.volumes.selection import prunable, select
from engine.drivers.volumes.local import LocalVolumes
from engine.state.store import Store

__all__ = ["KIND", "Listing", "Pruned", "Usage", "VolumeRequest", "Volumes"]
log = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True)
class Listing:
    """Volumes by name, and a line for each driver that could not tell of its own."""

    volumes: list[Volume]
    warnings: list[str]


class Volumes:
    """All volumes by name. `restore` comes first; `drop_unused_mounts` when all containers are back."""

    def __init__(
        self, store: Store, local: LocalVolumes, bus: EventBus, measure: Measure, drivers: VolumeDrivers
    ) -> None:
        """`measure` returns the bytes below a directory; `drivers` are those of plugins."""
        self._own = OwnVolumes(store, local, measure)
        self._foreign = PluginVolumes(store, drivers)
        self._bus = bus
        self._holders = Holders()
        self._users = Holders()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def restore(self) -> None:
        """Read the records and make directories and records agree."""
        await self._own.restore()
        await self._foreign.restore()

    async def drop_unused_mounts(self) -> None:
        """Unmount what a previous daemon mounted and no container uses any more."""
        for volume in self._own.all():
            if volume.options and not self._users.of(volume.name):
                await self._own.unmount(volume.name)

    async def get(self, name: str) -> Volume:
        """Return a volume. Raises VolumeNotFound, and what a plugin's failure is."""
        found = self._own.find(name) or await self._foreign.find(name)
        if found is None:
            raise VolumeNotFound(name)
        return found

    async def select(self, filters: Filters) -> Listing:
        """Return the volumes that match. Raises InvalidFilter."""
        select((), filters, self._is_held)  # Wrong filters are refused before any plugin is asked.
        foreign, warnings = await self._foreign.all()
        return Listing(select([*self._own.all(), *foreign], filters, self._is_held), warnings)

    def _is_held(self, name: str) -> bool:
        return bool(self._holders.of(name))

    async def create(self, request: VolumeRequest) -> Volume:
        """Return the volume of that name, made where there is none.

        Raises DriverMissing, DriverFailed, VolumeNameTaken, InvalidParameter.
        """
        name = request.name or ids.new_id()
        async with self._lock(name):
            present = self._own.find(name)
            if present is not None:
                if request.driver not in ("", LOCAL):
                    raise VolumeNameTaken(name, LOCAL)
                return present
            if request.driver not in ("", LOCAL):
                volume, made = await self._foreign.create(name, request)
            else:
                volume, made = await self._create(name, request)
        if made:
            self._publish("create", volume)
        return volume

    async def _create(self, name: str, request: VolumeRequest) -> tuple[Volume, bool]:
        """Make a local volume, unless no driver was named and a plugin has one of that name."""
        if request.driver == LOCAL:
            await self._foreign.require_free(name, LOCAL)
        elif not request.anonymous:
            found = await self._foreign.find(name, for_sure=True)
            if found is not None:
                return found, False
        require_valid(name, request.options or {})
        await self._foreign.forget(name)
        volume = Volume(
            name=name,
            created_at=times.now(),
            driver=LOCAL,
            mountpoint=self._own.mountpoint(name),
            labels=labels_of(request),
            options=None if request.options is None else dict(request.options),
            anonymous=request.anonymous or not request.name,
        )
        await self._own.create(volume)
        return volume, True

    async def acquire(self, name: str, holder: str) -> None:
        """Keep a volume from being removed while `holder` has it."""
        self._holders.add(name, holder)

    def release(self, holder: str) -> None:
        """Let go of all that a holder has."""
        self._holders.discard_all(holder)

    async def mount(self, name: str, holder: str) -> str:
        """Make a volume's data available and return its path. Raises VolumeNotFound, VolumeMountFailed."""
        volume = self._own.find(name)
        if volume is not None and not volume.options:
            return volume.mountpoint
        async with self._lock(name):
            if volume is None:
                path = await self._mount_foreign(name, holder)
            else:
                await self._own.mount(volume)
                path = volume.mountpoint
            self._users.add(name, holder)
        return path

    async def _mount_foreign(self, name: str, holder: str) -> str:
        """A holder may have a volume at two places; its plugin hears of one use."""
        if holder in self._users.of(name):
            return (await self.get(name)).mountpoint
        return await self._foreign.mount(name, holder)

    async def mount_again(self, name: str, holder: str) -> None:
        """Know `holder` as a user that a previous daemon mounted the volume for. Raises VolumeMountFailed."""
        volume = self._own.find(name)
        if volume is None:
            self._users.add(name, holder)
        else:
            await self.mount(name, holder)

    async def unmount(self, name: str, holder: str) -> None:
        """Let `holder` use a volume no longer; unmounts after the last one. Idempotent."""
        if holder not in self._users.of(name):
            return
        async with self._lock(name):
            self._users.discard(name, holder)
            if self._own.find(name) is None:
                await self._foreign.unmount(name, holder)
            elif not self._users.of(name):
                await self._own.unmount(name)

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a volume and its data; with `force` one that does not exist is no error.

        Raises VolumeNotFound, VolumeInUse, VolumeRemovalFailed, DriverFailed.
        """
        try:
            async with self._lock(name):
                volume = await self.get(name)
                await self._remove(volume)
        except VolumeNotFound:
            if not force:
                raise
            await self._foreign.forget(name)
            return
        self._publish("destroy", volume)

    async def _remove(self, volume: Volume) -> None:
        holders = self._holders.of(volume.name)
        if holders:
            raise VolumeInUse(volume.name, holders)
        if volume.driver == LOCAL:
            await self._own.remove(volume)
        else:
            await self._foreign.remove(volume)

    async def remove_unused(self, name: str) -> None:
        """Remove an anonymous volume that nobody holds any more; nothing happens otherwise."""
        if self._holders.of(name):
            return
        try:
            if (await self.get(name)).anonymous:
                await self.remove(name, force=True)
        except VolumeNotFound:
            return
        except WharfError as error:
            log.warning("anonymous volume: %s", error)

    async def prune(self, filters: Filters, *, everything: bool) -> Pruned:
        """Remove local volumes that nobody holds: anonymous ones; all with `everything` or the filter `all`."""
        names, reclaimed = [], 0
        for volume in prunable(self._own.all(), filters, everything=everything):
            if self._holders.of(volume.name):
                continue
            size = await self._own.size(volume)
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
        """Measure the volumes whose data is here: local ones without options."""
        found = [v for v in self._own.all() if not v.options]
        return [Usage(v, await self._own.size(v), len(self._holders.of(v.name))) for v in _by_name(found)]

    def _publish(self, action: str, volume: Volume) -> None:
        self._bus.publish(EventType.VOLUME, action, volume.name, {"driver": volume.driver})

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            self._locks[name] = lock = asyncio.Lock()
        return lock


def _by_name(volumes: Iterable[Volume]) -> list[Volume]:
    return sorted(volumes, key=lambda v: v.name)
