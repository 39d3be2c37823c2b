"""Plugins as the IPAM drivers that `domain/networks` asks for."""

from collections.abc import Mapping
from typing import Any

from engine.domain.plugins.directory import Plugin, PluginDirectory
from engine.drivers.plugins.failures import PluginFailed

_CAPABILITY = "IpamDriver"


class PluginIpamDrivers:
    """The IPAM drivers among the plugins."""

    def __init__(self, directory: PluginDirectory) -> None:
        self._directory = directory
        self._known: dict[str, tuple[Plugin, Mapping[str, Any]]] = {}

    async def capabilities(self, name: str) -> Mapping[str, Any]:
        """Return what a driver says of itself, once; one that does not say has none. Raises WharfError."""
        plugin = await self._directory.get(name, _CAPABILITY)
        known = self._known.get(name)
        if known is None or known[0] is not plugin:
            known = self._known[name] = (plugin, await _capabilities(plugin))
        return known[1]

    async def call(self, name: str, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return a driver's answer. Raises WharfError."""
        plugin = await self._directory.get(name, _CAPABILITY)
        return await plugin.client.call(f"{_CAPABILITY}.{method}", arguments)


async def _capabilities(plugin: Plugin) -> Mapping[str, Any]:
    try:
        return await plugin.client.call(f"{_CAPABILITY}.GetCapabilities", {})
    except PluginFailed:
        return {}
