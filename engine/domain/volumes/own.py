"""The volumes of the driver `local`: their records and directories.

The record and the directory come and go in an order that a kill at any instant leaves repairable: the directory is
staged, then recorded, then named; it loses its name, then its record, then its content. `restore` finishes what was
interrupted. Data without a record is adopted, never removed. Callers see to it that one volume is changed once at a
time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from engine.core.model.volume import Volume
from engine.domain.volumes.failures import VolumeCreationFailed, VolumeMountFailed, VolumeRemovalFailed
from engine.drivers.volumes.local import LocalVolumes
from engine.state.store import Delete, Put, Store

log = logging.getLogger(__name__)
KIND = "volume"
Measure = Callable[[Path], Awaitable[int]]


class OwnVolumes:
    """Local volumes by name."""

    def __init__(self, store: Store, local: LocalVolumes, measure: Measure) -> None:
        """`measure` returns the bytes below a directory."""
        self._store = store
        self._local = local
        self._measure = measure
        self._volumes: dict[str, Volume] = {}

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

    def find(self, name: str) -> Volume | None:
        """Return a volume, if there is one."""
        return self._volumes.get(name)

    def all(self) -> Iterable[Volume]:
        """Return all volumes."""
        return list(self._volumes.values())

    def mountpoint(self, name: str) -> str:
        """Return where a volume's data is or would be."""
        return str(self._local.path(name))

    async def create(self, volume: Volume) -> None:
        """Make a volume. Raises VolumeCreationFailed."""
        try:
            await asyncio.to_thread(self._local.stage, volume.name)
            await self._store.commit(Put(KIND, volume.name, volume))
            await asyncio.to_thread(self._local.settle, volume.name)
        except OSError as error:
            await asyncio.to_thread(self._local.abandon, volume.name)
            raise VolumeCreationFailed(volume.name, error) from error
        self._volumes[volume.name] = volume

    async def remove(self, volume: Volume) -> None:
        """Remove a volume and its data. Raises VolumeRemovalFailed."""
        try:
            await asyncio.to_thread(self._local.unmount, volume.name)
            await asyncio.to_thread(self._local.discard, volume.name)
            await self._store.commit(Delete(KIND, volume.name))
            del self._volumes[volume.name]
            await asyncio.to_thread(self._local.erase, volume.name)
        except OSError as error:
            raise VolumeRemovalFailed(volume.name, error) from error

    async def mount(self, volume: Volume) -> None:
        """Mount what a volume's options ask for, unless it is there. Raises VolumeMountFailed."""
        try:
            await asyncio.to_thread(self._local.mount, volume.name, volume.options or {})
        except OSError as error:
            raise VolumeMountFailed(volume.mountpoint, error) from error

    async def unmount(self, name: str) -> None:
        """Unmount a volume's data, if anything is mounted there."""
        await asyncio.to_thread(self._local.unmount, name)

    async def size(self, volume: Volume) -> int:
        """Return the bytes of a volume's data; 0 where they cannot be counted."""
        try:
            return await self._measure(Path(volume.mountpoint))
        except OSError as error:
            log.warning("volume %s cannot be measured: %s", volume.name, error)
            return 0
