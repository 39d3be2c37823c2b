"""Puts drivers, domain and handlers together."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.api.app import Handlers
from engine.config.reload import RELOADED
from engine.config.settings import Config
from engine.core.errors import Internal, WharfError
from engine.core.model.event import EventType
from engine.daemon.build_store import BuildStore, build_store
from engine.daemon.containers import Containers, build_containers, default_log_config
from engine.daemon.deferred_fronts import DeferredFronts
from engine.daemon.drivers import Drivers, registry_settings, start_drivers
from engine.daemon.plugins import Plugins, build_plugins
from engine.daemon.resources import Resources, build_resources, gc_policy
from engine.daemon.routes import build_handlers
from engine.daemon.system import build_system, info_settings, system_handlers
from engine.domain.containers.orphans import remove_orphans
from engine.domain.system.info import System
from engine.drivers.cgroups.abilities import detect

_CGROUP_ROOT = Path("/sys/fs/cgroup")


class AuthorizerUnusable(Internal):
    """The daemon does not start without a plugin that is to authorize its requests."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"failed to validate authorization plugin: {reason}")


@dataclass(frozen=True, slots=True)
class Services:
    """What is built upon containers and resources."""

    build_store: BuildStore
    build_fronts: DeferredFronts
    plugins: Plugins
    system: System


class Daemon:
    """All parts, and the order in which they come back to life and stop."""

    def __init__(
        self,
        config: Config,
        drivers: Drivers,
        resources: Resources,
        containers: Containers,
        services: Services,
    ) -> None:
        self.config = config
        self.handlers: Sequence[Handlers] = [
            *build_handlers(config, drivers, resources, containers),
            services.build_fronts,
            *system_handlers(services.system, drivers, resources, containers, services.build_store.usage),
            services.plugins.handlers(resources),
        ]
        self.authorizers = resources.authorizers
        self._system = services.system
        self._plugins = services.plugins
        self._drivers = drivers
        self._resources = resources
        self._containers = containers
        self._build_store = services.build_store
        self._build_fronts = services.build_fronts

    async def restore(self) -> None:
        """Find everything as it is, finish what was interrupted, then look after it. Raises OSError, WharfError."""
        await self._plugins.lifecycle.restore()
        await self._resources.log_drivers.require_default(default_log_config(self.config))
        await self._resources.log_drivers.start()
        await self._resources.volumes.restore()
        await self._build_store.restore()
        await remove_orphans(self._containers.table, self._drivers.overlay, self._containers.paths)
        await self._containers.restorer.restore(self._containers.logs)
        await self._resources.images.restored()
        await self._resources.volumes.drop_unused_mounts()
        await self._require_authorizers()
        for watcher in self._containers.watchers:
            watcher.start()
        self._resources.image_gc.start(gc_policy(self.config))

    def http2(self) -> asyncio.Protocol | None:
        """Return what serves a connection that speaks HTTP/2 outright; nothing where plugins judge each request."""
        return None if self.authorizers.active else self._build_fronts.http2()

    async def _require_authorizers(self) -> None:
        try:
            await self.authorizers.require_all()
        except WharfError as error:
            raise AuthorizerUnusable(str(error)) from error

    def reload(self, config: Config) -> None:
        """Take over settings that can change while the daemon runs, and tell of it. Blocks (a small file)."""
        self.config = config
        self._system.change(info_settings(config, self._drivers))
        self.authorizers.use(config.authorization_plugins)
        self._drivers.transport.settings = registry_settings(config)
        self._resources.image_gc.change(gc_policy(config))
        if config.default_runtime in {runtime.name for runtime in self._drivers.runtimes.all()}:
            self._drivers.runtimes.default = config.default_runtime
        attributes = {"name": os.uname().nodename, **{name: str(getattr(config, name)) for name in RELOADED}}
        self._resources.bus.publish(EventType.DAEMON, "reload", self._system.engine_id, attributes)

    async def close(self) -> None:
        """Stop looking after containers, which run on, and write what is not written."""
        for watcher in reversed(self._containers.watchers):
            await watcher.close()
        await self._containers.supervisor.close()
        self._containers.execs.close()
        await self._plugins.close()
        await self._build_fronts.close()
        await self._build_store.close()
        await self._resources.close()
        await self._drivers.close()


async def assemble(config: Config) -> Daemon:
    """Build everything. Raises OSError, WharfError."""
    drivers = await start_drivers(config)
    abilities = await asyncio.to_thread(detect, _CGROUP_ROOT, v2=drivers.cgroups.v2)
    resources = await build_resources(config, drivers)
    containers = build_containers(config, drivers, resources, abilities)
    # Before the first garbage collection, which would take what the cache keeps.
    store = build_store(config, drivers, resources, containers)
    system = build_system(config, drivers, resources, containers, abilities)
    fronts = DeferredFronts(config, drivers, resources, store, system.engine_id)
    plugins = await build_plugins(config, drivers, resources)
    return Daemon(config, drivers, resources, containers, Services(store, fronts, plugins, system))
