"""All plugins by name: installed ones first, then those that run by themselves.

A plugin that runs by itself is asked once what it is (`Plugin.Activate`), again when it is found elsewhere.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from engine.core.errors import WharfError
from engine.domain.plugins.failures import LegacyPluginFailed, NotImplementedByPlugin, PluginNotFound
from engine.drivers.plugins import discovery
from engine.drivers.plugins.client import PluginClient
from engine.drivers.plugins.discovery import Address, Places
from engine.drivers.plugins.log import FIFOS

_ACTIVATE = "Plugin.Activate"
_SHORT = 5.0
# How long (seconds) a plugin that does not answer is left alone where nobody asked for it by name.
_REST = 30.0


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin that can be used. `on_host` turns a path that it names into one of the host's, and may block.

    `fifos` is where on the host the logs are that it reads.
    """

    name: str
    client: PluginClient
    implements: frozenset[str]
    on_host: Callable[[str], str] = str
    fifos: Path = Path(FIFOS)


class Installed(Protocol):
    """The plugins that this daemon runs itself."""

    def find(self, name: str, capability: str) -> Plugin | None:
        """Return the plugin of that name, None where there is none. Raises WharfError where it cannot be used."""

    def enabled(self, capability: str) -> Sequence[Plugin]:
        """Return those that run and have a capability."""

    def acquire(self, name: str) -> None:
        """Note one more use of a plugin."""

    def release(self, name: str) -> None:
        """Note one less."""


class PluginDirectory:
    """Finds plugins."""

    def __init__(self, places: Places, installed: Installed) -> None:
        self._places = places
        self._installed = installed
        self._active: dict[str, Plugin] = {}
        self._resting: dict[str, float] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, name: str, capability: str, *, patient: bool = True) -> Plugin:
        """Return a plugin that has a capability; a patient caller waits a while for one that is starting.

        Raises PluginNotFound, LegacyPluginFailed, NotImplementedByPlugin; PluginDisabled of installed ones.
        """
        installed = self._installed.find(name, capability)
        if installed is not None:
            return installed
        plugin = await self._activated(name, patient=patient)
        if capability not in plugin.implements:
            raise NotImplementedByPlugin(name, capability)
        return plugin

    async def all(self, capability: str) -> list[Plugin]:
        """Return all plugins that have a capability and answer now, by name."""
        names = await asyncio.to_thread(discovery.names, self._places)
        legacy = [p for p in await asyncio.gather(*map(self._glance, names)) if p and capability in p.implements]
        installed = self._installed.enabled(capability)
        taken = {plugin.name for plugin in installed}
        return sorted([*installed, *(p for p in legacy if p.name not in taken)], key=lambda p: p.name)

    def known(self, capability: str) -> list[str]:
        """Return the names of those that run by themselves and have been used so far, without asking any."""
        return sorted(p.name for p in self._active.values() if capability in p.implements)

    def installed(self, capability: str) -> Sequence[Plugin]:
        """Return the installed plugins that run and have a capability."""
        return self._installed.enabled(capability)

    def acquire(self, name: str) -> None:
        """Note one more use of a plugin."""
        self._installed.acquire(name)

    def release(self, name: str) -> None:
        """Note one less."""
        self._installed.release(name)

    async def _glance(self, name: str) -> Plugin | None:
        if self._resting.get(name, 0.0) > time.monotonic():
            return None
        try:
            return await self._activated(name, patient=False)
        except WharfError:
            self._resting[name] = time.monotonic() + _REST
            return None

    async def _activated(self, name: str, *, patient: bool) -> Plugin:
        async with self._lock(name):
            try:
                address = await asyncio.to_thread(discovery.find, self._places, name)
            except WharfError as error:
                raise LegacyPluginFailed(str(error)) from error
            if address is None:
                self._active.pop(name, None)
                raise PluginNotFound(name)
            plugin = self._active.get(name)
            if plugin is None or plugin.client.address != address:
                plugin = self._active[name] = await self._activate(name, address, patient=patient)
        self._resting.pop(name, None)
        return plugin

    async def _activate(self, name: str, address: Address, *, patient: bool) -> Plugin:
        client = PluginClient(address)
        try:
            answer = await client.call(_ACTIVATE, patient=patient, timeout=0 if patient else _SHORT)
        except WharfError as error:
            raise LegacyPluginFailed(str(error)) from error
        implements = answer.get("Implements")
        names = implements if isinstance(implements, list) else []
        return Plugin(name, client, frozenset(n for n in names if isinstance(n, str)))

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            self._locks[name] = lock = asyncio.Lock()
        return lock
