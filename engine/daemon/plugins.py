"""Builds the part that installs and runs plugins."""

import asyncio
from dataclasses import dataclass

from engine.api.handlers.plugins import PluginHandlers, PluginParts
from engine.config.settings import Config
from engine.daemon.drivers import Drivers
from engine.daemon.resources import Resources
from engine.domain.containers.host import gather_facts
from engine.domain.images.downloads import Downloader
from engine.domain.images.unpack import Unpacker
from engine.domain.plugins.install import PluginInstaller
from engine.domain.plugins.lifecycle import PluginLifecycle
from engine.domain.plugins.output import PluginOutput
from engine.domain.plugins.paths import PluginPaths
from engine.domain.plugins.push import PluginPusher
from engine.domain.plugins.runner import PluginMachinery, PluginRunner
from engine.domain.plugins.stores import PluginStores
from engine.drivers.storage.content import ContentStore
from engine.drivers.storage.layers import LayerStore
from engine.drivers.storage.overlay import OverlayDriver


@dataclass(frozen=True, slots=True)
class Plugins:
    """The parts that handlers and the daemon's life use."""

    lifecycle: PluginLifecycle
    installer: PluginInstaller
    pusher: PluginPusher
    stores: PluginStores

    def handlers(self, resources: Resources) -> PluginHandlers:
        """Return the handlers of the routes below /plugins."""
        return PluginHandlers(PluginParts(resources.installed, self.lifecycle, self.installer, self.pusher))

    async def close(self) -> None:
        """Stop looking after plugins, which run on."""
        await self.lifecycle.close()
        await self.stores.close()


async def build_plugins(config: Config, drivers: Drivers, resources: Resources) -> Plugins:
    """Build the part. Raises OSError."""
    paths = PluginPaths(config.data_root / "plugins", config.exec_root / "installed-plugins")
    await asyncio.to_thread(paths.prepare)
    stores = _stores(paths, drivers)
    await stores.start()
    facts = gather_facts(drivers.cgroups)
    output = PluginOutput(paths, drivers.rotator, drivers.forwarders)
    machinery = PluginMachinery(drivers.conmon, drivers.runtimes, drivers.cgroups, stores.overlay, paths, facts, output)
    table, bus = resources.installed, resources.bus
    downloader = Downloader(stores.content, config.max_concurrent_downloads or 3, config.max_download_attempts)
    return Plugins(
        lifecycle=PluginLifecycle(table, PluginRunner(machinery), stores, paths, bus, resources.authorizers),
        installer=PluginInstaller(table, stores, downloader, drivers.transport, bus, drivers.spool),
        pusher=PluginPusher(table, stores, drivers.transport),
        stores=stores,
    )


def _stores(paths: PluginPaths, drivers: Drivers) -> PluginStores:
    content, layers = ContentStore(paths.data / "content"), LayerStore(paths.data / "layers")
    overlay = OverlayDriver(paths.data / "overlay", layers)
    return PluginStores(content, layers, overlay, Unpacker(content, layers, drivers.confine))
