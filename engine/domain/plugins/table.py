"""Installed plugins: their records, found by name or ID, and who uses them."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from weakref import WeakValueDictionary

import msgspec

from engine.core import ids, references
from engine.core.errors import InvalidParameter
from engine.core.filters import Filters, boolean, match_any, require_known
from engine.core.model.plugin import InstalledPlugin
from engine.domain.plugins.config import capabilities
from engine.domain.plugins.directory import Plugin
from engine.domain.plugins.failures import (
    LacksCapability,
    PluginDisabled,
    PluginExists,
    PluginNotFound,
    SettingActivePlugin,
)
from engine.domain.plugins.settings import changed
from engine.state.store import Delete, Put, Store

KIND = "plugin"


class PluginTable:
    """The records by ID. What runs has a handle here, for those who look for a plugin by what it can do."""

    def __init__(self, store: Store) -> None:
        """Read the records. Blocks; used at start-up only."""
        self._store = store
        self._plugins: dict[str, InstalledPlugin] = store.load(KIND, InstalledPlugin)
        self._handles: dict[str, Plugin] = {}
        self._uses: Counter[str] = Counter()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def all(self) -> list[InstalledPlugin]:
        """Return all, by name."""
        return sorted(self._plugins.values(), key=lambda p: p.name)

    def get(self, text: str) -> InstalledPlugin:
        """Return the plugin of that name, ID, or beginning of an ID. Raises PluginNotFound."""
        found = self._plugins.get(text) or self._named(text)
        if found is None:
            matches = ids.matching(text, self._plugins)
            if len(matches) != 1:
                raise PluginNotFound(text)
            found = self._plugins[matches[0]]
        return found

    def _named(self, text: str) -> InstalledPlugin | None:
        try:
            name = references.parse(text).with_default_tag().familiar
        except InvalidParameter:
            return None
        return next((p for p in self._plugins.values() if p.name == name), None)

    def require_free(self, name: str) -> None:
        """Raise PluginExists where a plugin has that name."""
        if any(p.name == name for p in self._plugins.values()):
            raise PluginExists(name)

    def select(self, filters: Filters) -> list[InstalledPlugin]:
        """Return the plugins that match; of several capabilities each must be asked for. Raises InvalidFilter."""
        require_known(filters, ("capability", "enabled"))
        enabled = boolean(filters, "enabled")
        return [
            p
            for p in self.all()
            if (enabled is None or p.enabled is enabled)
            and all(match_any(filters, "capability", lambda wanted, c=c: wanted == c) for c in capabilities(p.config))  # type: ignore[misc]
        ]

    async def put(self, plugin: InstalledPlugin) -> InstalledPlugin:
        """Write a record, new or changed, and return it."""
        await self._store.commit(Put(KIND, plugin.id, plugin))
        self._plugins[plugin.id] = plugin
        return plugin

    async def remove(self, plugin: InstalledPlugin) -> None:
        """Remove a record."""
        await self._store.commit(Delete(KIND, plugin.id))
        self._plugins.pop(plugin.id, None)
        self._handles.pop(plugin.id, None)
        # What there was of a plugin that was removed by force does not keep one that is installed later.
        self._uses.pop(plugin.name, None)

    async def set(self, text: str, assignments: Sequence[str]) -> None:
        """Change a plugin's settings. Raises PluginNotFound, SettingActivePlugin, InvalidAssignment, NotSettable, …"""
        async with self.lock(self.get(text).id):
            plugin = self.get(text)
            if plugin.enabled:
                raise SettingActivePlugin
            await self.put(msgspec.structs.replace(plugin, settings=changed(plugin, assignments)))

    def lock(self, plugin_id: str) -> asyncio.Lock:
        """Return the lock of those who change a plugin."""
        lock = self._locks.get(plugin_id)
        if lock is None:
            self._locks[plugin_id] = lock = asyncio.Lock()
        return lock

    def serve(self, plugin: InstalledPlugin, handle: Plugin | None) -> None:
        """Let a plugin that runs be found, or no longer."""
        self._handles.pop(plugin.id, None)
        if handle is not None:
            self._handles[plugin.id] = handle

    # What `PluginDirectory` asks.

    def find(self, name: str, capability: str) -> Plugin | None:
        """Return a plugin that runs, None where none is installed. Raises PluginDisabled, LacksCapability."""
        try:
            plugin = self.get(name)
        except PluginNotFound:
            return None
        handle = self._handles.get(plugin.id)
        if not plugin.enabled or handle is None:
            raise PluginDisabled(name)
        if capability.lower() not in capabilities(plugin.config):
            raise LacksCapability(capability)
        return handle

    def enabled(self, capability: str) -> list[Plugin]:
        """Return those that run and have a capability."""
        running = [p for p in self.all() if p.enabled and p.id in self._handles]
        return [self._handles[p.id] for p in running if capability.lower() in capabilities(p.config)]

    def acquire(self, name: str) -> None:
        """Note one more use of a plugin."""
        self._uses[name] += 1

    def release(self, name: str) -> None:
        """Note one less."""
        self._uses[name] = max(0, self._uses[name] - 1)

    def in_use(self, plugin: InstalledPlugin) -> bool:
        """Tell whether anything of the plugin's is known here."""
        return self._uses[plugin.name] > 0
