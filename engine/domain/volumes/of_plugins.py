"""The volumes of plugins. A plugin says which there are; kept here are the labels and options of those made here.

A name belongs to one volume among all drivers.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence

import msgspec

from engine.core.errors import Conflict, NotFound, WharfError
from engine.core.model.volume import Volume
from engine.domain.volumes.drivers import VolumeDriver, VolumeDrivers
from engine.domain.volumes.failures import (
    DriverDisabled,
    DriverFailed,
    DriverMissing,
    PluginMountFailed,
    VolumeNameTaken,
    VolumeNotFound,
)
from engine.domain.volumes.request import VolumeRequest, labels_of
from engine.state.store import Delete, Put, Store

log = logging.getLogger(__name__)
KIND = "plugin-volume"


class PluginVolumes:
    """Volumes of all drivers but `local`."""

    def __init__(self, store: Store, drivers: VolumeDrivers) -> None:
        self._store = store
        self._drivers = drivers
        self._records: dict[str, Volume] = {}

    async def restore(self) -> None:
        """Read the records. No plugin is asked."""
        self._records = await asyncio.to_thread(self._store.load, KIND, Volume)
        for record in self._records.values():
            self._drivers.acquire(record.driver)

    def is_recorded(self, name: str) -> bool:
        """Tell whether a volume of a plugin was made here."""
        return name in self._records

    async def find(self, name: str, *, for_sure: bool = False) -> Volume | None:
        """Return a volume, asking its plugin, or all of them where it was not made here; None where they have none.

        A plugin that is gone has none, but that is an error for one who wants to know it for sure. Raises DriverFailed.
        """
        record = self._records.get(name)
        if record is None:
            return await self._search(name)
        try:
            driver = await self._lookup("get", name, record.driver)
        except (DriverMissing, DriverDisabled) as error:
            if for_sure:
                raise DriverFailed(str(error)) from error
            return None
        try:
            return await self._complete(driver, await driver.get(name))
        except NotFound:
            return None

    async def _search(self, name: str) -> Volume | None:
        drivers = await self._drivers.present()
        found = await asyncio.gather(*(self._glance(driver, name) for driver in drivers))
        return next((volume for volume in found if volume is not None), None)

    async def _glance(self, driver: VolumeDriver, name: str) -> Volume | None:
        try:
            return await self._complete(driver, await driver.get(name, patient=False))
        except WharfError:
            return None

    async def _complete(self, driver: VolumeDriver, volume: Volume) -> Volume:
        """Add what is kept here to what the plugin says."""
        record = self._records.get(volume.name)
        volume = msgspec.structs.replace(volume, scope=await driver.scope())
        if record is None or record.driver != volume.driver:
            return volume
        return msgspec.structs.replace(volume, labels=record.labels, options=record.options, anonymous=record.anonymous)

    async def all(self) -> tuple[list[Volume], list[str]]:
        """Return the volumes of all plugins, and a line for each plugin that cannot tell."""
        drivers = await self._drivers.present()
        volumes: list[Volume] = []
        warnings: list[str] = []
        for driver, found in zip(drivers, await asyncio.gather(*map(self._list, drivers)), strict=True):
            if isinstance(found, WharfError):
                warnings.append(f"list {driver.name}: {found}")
            else:
                volumes += found
        return volumes, warnings

    async def _list(self, driver: VolumeDriver) -> Sequence[Volume] | WharfError:
        try:
            found = [await self._complete(driver, volume) for volume in await driver.list()]
        except WharfError as error:
            return error
        # As dockerd lists them.
        return [msgspec.structs.replace(volume, status=None, created_at=0) for volume in found]

    async def require_free(self, name: str, driver: str) -> None:
        """Raise VolumeNameTaken where another driver than `driver` has a volume of that name, made here.

        Raises DriverFailed where that driver is gone.
        """
        record = self._records.get(name)
        if record is None or record.driver == driver:
            return
        if await self.find(name, for_sure=True) is not None:
            raise VolumeNameTaken(name, record.driver)
        await self.forget(name)

    async def create(self, name: str, request: VolumeRequest) -> tuple[Volume, bool]:
        """Return the volume of that name, and whether it was made now. Raises DriverMissing, DriverFailed."""
        driver = await self._lookup("create", name, request.driver)
        await self.require_free(name, driver.name)
        try:
            found = await self._complete(driver, await driver.get(name))
        except NotFound:
            return await self._create(driver, name, request), True
        except WharfError as error:
            raise DriverFailed(f"create {name}: {error}") from error
        if not self.is_recorded(name):
            await self._record(msgspec.structs.replace(found, status=None))
        return found, False

    async def _create(self, driver: VolumeDriver, name: str, request: VolumeRequest) -> Volume:
        options = None if request.options is None else dict(request.options)
        try:
            await driver.create(name, options)
            scope = await driver.scope()
        except WharfError as error:
            raise DriverFailed(f"create {name}: {error}") from error
        volume = Volume(
            name=name,
            created_at=0,
            driver=driver.name,
            scope=scope,
            labels=labels_of(request),
            options=options,
            anonymous=request.anonymous or not request.name,
        )
        await self._record(volume)
        return volume

    async def _record(self, volume: Volume) -> None:
        if volume.name not in self._records:
            self._drivers.acquire(volume.driver)
        self._records[volume.name] = volume
        await self._store.commit(Put(KIND, volume.name, volume))

    async def forget(self, name: str) -> None:
        """Drop what is kept of a volume; nothing happens where nothing is."""
        record = self._records.pop(name, None)
        if record is not None:
            self._drivers.release(record.driver)
            await self._store.commit(Delete(KIND, name))

    async def remove(self, volume: Volume) -> None:
        """Remove a volume. Raises DriverFailed."""
        driver = await self._driver("remove", volume)
        try:
            await driver.remove(volume.name)
        except WharfError as error:
            raise DriverFailed(f"remove {volume.name}: {error}") from error
        await self.forget(volume.name)

    async def mount(self, name: str, holder: str) -> str:
        """Make a volume's data available for a holder; return its path.

        Raises VolumeNotFound, PluginMountFailed, DriverFailed.
        """
        volume = self._records.get(name) or await self._search(name)
        if volume is None:
            raise VolumeNotFound(name)
        driver = await self._driver("mount", volume)
        try:
            return await driver.mount(name, _user(holder))
        except WharfError as error:
            raise PluginMountFailed(await _mountpoint(driver, name), str(error)) from error

    async def unmount(self, name: str, holder: str) -> None:
        """Let a holder use a volume no longer. A plugin that fails is reported in the log: the use is over."""
        try:
            volume = self._records.get(name) or await self._search(name)
            if volume is not None:
                await (await self._driver("unmount", volume)).unmount(name, _user(holder))
        except WharfError as error:
            log.error("volume %s is not unmounted by its plugin: %s", name, error)

    async def _driver(self, operation: str, volume: Volume) -> VolumeDriver:
        """Return the driver of a volume that is known here. Raises DriverFailed."""
        try:
            return await self._lookup(operation, volume.name, volume.driver)
        except DriverMissing as error:
            raise DriverFailed(str(error)) from error

    async def _lookup(self, operation: str, name: str, driver: str) -> VolumeDriver:
        try:
            return await self._drivers.driver(driver)
        except NotFound as error:
            raise DriverMissing(operation, name, driver, str(error)) from error
        except Conflict as error:
            raise DriverDisabled(operation, name, driver, str(error)) from error
        except WharfError as error:
            raise DriverFailed(f"{operation} {name}: error looking up volume plugin {driver}: {error}") from error


async def _mountpoint(driver: VolumeDriver, name: str) -> str:
    try:
        return (await driver.get(name, patient=False)).mountpoint
    except WharfError:
        return ""


def _user(holder: str) -> str:
    """Return what a plugin knows a holder by: the same before and after a restart."""
    return hashlib.sha256(holder.encode()).hexdigest()
