"""Plugins as the network drivers that `domain/networks` asks for."""

from collections.abc import Mapping
from typing import Any

from engine.domain.plugins.directory import Plugin, PluginDirectory

CAPABILITY = "NetworkDriver"


class PluginNetworkDrivers:
    """The network drivers among the plugins."""

    def __init__(self, directory: PluginDirectory) -> None:
        self._directory = directory
        self._known: dict[str, Plugin] = {}

    async def require(self, name: str) -> None:
        """Raise PluginNotFound, or another WharfError where the plugin cannot be used."""
        plugin = await self._directory.get(name, CAPABILITY)
        if self._known.get(name) is not plugin:
            await plugin.client.call(f"{CAPABILITY}.GetCapabilities", {})
            self._known[name] = plugin

    async def call(self, name: str, method: str, arguments: Mapping[str, Any], *, patient: bool) -> dict[str, Any]:
        """Return a driver's answer. Raises WharfError."""
        plugin = await self._directory.get(name, CAPABILITY, patient=patient)
        return await plugin.client.call(f"{CAPABILITY}.{method}", arguments, patient=patient)
