"""Plugins as the volume drivers that `domain/volumes` asks for."""

from collections.abc import Sequence

from engine.domain.plugins.directory import Plugin, PluginDirectory
from engine.domain.volumes.drivers import VolumeDriver
from engine.drivers.plugins.volume import CAPABILITY, RemoteVolumeDriver


class PluginVolumeDrivers:
    """The volume drivers among the plugins."""

    def __init__(self, directory: PluginDirectory) -> None:
        self._directory = directory
        self._drivers: dict[str, tuple[Plugin, RemoteVolumeDriver]] = {}

    async def driver(self, name: str) -> VolumeDriver:
        """Return a driver. Raises PluginNotFound, or another WharfError where it cannot be used."""
        return self._of(await self._directory.get(name, CAPABILITY))

    async def present(self) -> Sequence[VolumeDriver]:
        """Return all that answer now, by name."""
        return [self._of(plugin) for plugin in await self._directory.all(CAPABILITY)]

    def names(self) -> list[str]:
        """Return the names of those that have been used so far."""
        return self._directory.known(CAPABILITY)

    def acquire(self, name: str) -> None:
        """Note that one more volume of the driver is known here."""
        self._directory.acquire(name)

    def release(self, name: str) -> None:
        """Note that one is no more."""
        self._directory.release(name)

    def _of(self, plugin: Plugin) -> RemoteVolumeDriver:
        known = self._drivers.get(plugin.name)
        if known is None or known[0] is not plugin:
            driver = RemoteVolumeDriver(plugin.name, plugin.client, plugin.on_host)
            known = self._drivers[plugin.name] = (plugin, driver)
        return known[1]
