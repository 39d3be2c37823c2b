"""Installed plugins from enable to disable, across restarts of the daemon; and their removal.

A plugin that ends by itself is started again, with growing pauses. Plugins outlive the daemon, as containers do.
"""

import asyncio
import logging
import time

import msgspec

from engine.core import os_errors
from engine.core.errors import Internal, WharfError
from engine.core.model.event import EventType
from engine.core.model.plugin import InstalledPlugin
from engine.domain.containers.restore import monitor_lives
from engine.domain.events.bus import EventBus
from engine.domain.plugins.authorize import Authorizers
from engine.domain.plugins.config import capabilities
from engine.domain.plugins.directory import Plugin
from engine.domain.plugins.failures import AlreadyDisabled, AlreadyEnabled, PluginEnabled, PluginInUse
from engine.domain.plugins.paths import PluginPaths
from engine.domain.plugins.runner import PluginRunner
from engine.domain.plugins.stores import PluginStores
from engine.domain.plugins.table import PluginTable
from engine.drivers.plugins import authorization
from engine.drivers.plugins.client import PluginClient
from engine.drivers.plugins.discovery import Address

log = logging.getLogger(__name__)
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 30.0
_LONG_RUN = 10.0


class PluginFailedToStart(Internal):
    """The host or the disk does not allow it."""

    def __init__(self, error: OSError) -> None:
        super().__init__(os_errors.text(error))


class PluginLifecycle:
    """Enables, disables and removes plugins, and looks after those that run."""

    def __init__(
        self,
        table: PluginTable,
        runner: PluginRunner,
        stores: PluginStores,
        paths: PluginPaths,
        bus: EventBus,
        authorizers: Authorizers,
    ) -> None:
        self._table = table
        self._runner = runner
        self._stores = stores
        self._paths = paths
        self._bus = bus
        self._authorizers = authorizers
        self._watches: dict[str, asyncio.Task[None]] = {}

    async def restore(self) -> None:
        """Take up what runs, start what should run and does not, tidy up after the rest."""
        await self._stores.drop_orphans(self._table.all())
        await asyncio.gather(*(self._restore(plugin) for plugin in self._table.all()))

    async def _restore(self, plugin: InstalledPlugin) -> None:
        if plugin.enabled and await asyncio.to_thread(monitor_lives, plugin.monitor_pid, plugin.id):
            await self._runner.resume(plugin)
            self._serve(plugin)
            return
        await self._runner.release(plugin)
        if plugin.enabled:
            try:
                self._serve(await self._table.put(await self._start(plugin)))
            except WharfError as error:
                log.error("plugin %s cannot be started and is disabled: %s", plugin.name, error)
                await self._table.put(msgspec.structs.replace(plugin, enabled=False))

    async def enable(self, text: str, timeout: int) -> None:
        """Run a plugin. `timeout` in seconds is what its answers may take, 0: the default.

        Raises PluginNotFound, AlreadyEnabled, PluginSilent, RuntimeFailed, PluginFailedToStart.
        """
        async with self._table.lock(self._table.get(text).id):
            plugin = self._table.get(text)
            if plugin.enabled:
                raise AlreadyEnabled(plugin.name)
            started = await self._start(plugin)
            self._serve(await self._table.put(msgspec.structs.replace(started, enabled=True, timeout=timeout)))
        self._publish("enable", plugin, text)

    async def _start(self, plugin: InstalledPlugin) -> InstalledPlugin:
        try:
            return await self._runner.start(plugin)
        except OSError as error:
            raise PluginFailedToStart(error) from error

    def _serve(self, plugin: InstalledPlugin) -> None:
        propagated = plugin.config.propagated_mount
        address = Address(f"unix://{self._runner.socket(plugin)}")
        client = PluginClient(address, plugin.timeout) if plugin.timeout else PluginClient(address)
        handle = Plugin(
            name=plugin.name,
            client=client,
            implements=frozenset(capabilities(plugin.config)),
            on_host=lambda path: self._paths.on_host(plugin.id, propagated, path),
            fifos=self._paths.fifos(plugin.id),
        )
        self._table.serve(plugin, handle)
        self._watches[plugin.id] = asyncio.get_running_loop().create_task(self._watch(plugin))

    async def _watch(self, plugin: InstalledPlugin) -> None:
        """Start a plugin again each time it ends."""
        pause, began = _FIRST_PAUSE, time.monotonic()
        while True:
            await self._runner.wait(plugin)
            if time.monotonic() - began > _LONG_RUN:
                pause = _FIRST_PAUSE
            log.warning("plugin %s has ended and is started again", plugin.name)
            await asyncio.sleep(pause)
            pause, began = min(pause * 2, _LAST_PAUSE), time.monotonic()
            try:
                plugin = await self._table.put(await self._start(plugin))
            except WharfError as error:
                log.error("plugin %s cannot be started: %s", plugin.name, error)

    async def _unwatch(self, plugin: InstalledPlugin) -> None:
        task = self._watches.pop(plugin.id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def disable(self, text: str, *, force: bool) -> None:
        """Stop a plugin. Raises PluginNotFound, PluginInUse, AlreadyDisabled."""
        async with self._table.lock(self._table.get(text).id):
            plugin = self._table.get(text)
            if self._table.in_use(plugin) and not force:
                raise PluginInUse(plugin.name)
            if not plugin.enabled:
                raise AlreadyDisabled(plugin.name)
            await self._disable(plugin)
        self._publish("disable", plugin, text)

    async def _disable(self, plugin: InstalledPlugin) -> InstalledPlugin:
        if authorization.CAPABILITY in capabilities(plugin.config):
            self._authorizers.drop(plugin)
        self._table.serve(plugin, None)
        await self._unwatch(plugin)
        stopped = msgspec.structs.replace(self._table.get(plugin.id), enabled=False)
        await self._runner.stop(stopped)
        return await self._table.put(msgspec.structs.replace(stopped, pid=0, monitor_pid=0))

    async def remove(self, text: str, *, force: bool) -> InstalledPlugin:
        """Remove a plugin and return it as it was. Raises PluginNotFound, PluginInUse, PluginEnabled, OSError."""
        async with self._table.lock(self._table.get(text).id):
            plugin = self._table.get(text)
            if not force and self._table.in_use(plugin):
                raise PluginInUse(plugin.name)
            if plugin.enabled and not force:
                raise PluginEnabled(plugin.name)
            if plugin.enabled:
                await self._disable(plugin)
            await self._runner.remove(plugin)
            await self._table.remove(plugin)
            await self._stores.discard(plugin, self._table.all())
        self._publish("remove", plugin, text)
        return plugin

    def _publish(self, action: str, plugin: InstalledPlugin, text: str) -> None:
        """`text` is how the client called the plugin."""
        self._bus.publish(EventType.PLUGIN, action, plugin.id, {"name": text})

    async def close(self) -> None:
        """Stop looking after plugins, which run on."""
        for task in self._watches.values():
            task.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)
