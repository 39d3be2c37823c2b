"""Builds what builds leave from one to the next: the cache, trees, cache mounts, and who looks after them.

It is there from the start, as it must be swept, counted and kept from the garbage collection; the rest of the builder
(`builder.py`) is not.
"""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.config.settings import Config
from engine.daemon.containers import Containers
from engine.daemon.drivers import Drivers
from engine.daemon.resources import Resources
from engine.domain.builder.cache import BuildCache
from engine.domain.builder.cache_gc import CacheGc
from engine.domain.builder.contexts import Contexts
from engine.domain.builder.gc_rules import rules
from engine.domain.builder.ops.cache_mounts import CacheMounts
from engine.domain.builder.ops.exec import Commands, StepHost
from engine.domain.builder.ops.step_networks import StepNetworks
from engine.domain.builder.prune import CachePruner
from engine.domain.builder.snapshot import Snapshots, SnapshotStores
from engine.domain.builder.usage import CacheUsage
from engine.domain.containers.remap import Remap
from engine.domain.containers.sandbox import ResolverDefaults
from engine.drivers.linux.disk import total_bytes
from engine.drivers.storage.work_trees import WorkTrees


@dataclass(frozen=True, slots=True)
class BuildStore:
    """What is kept, below `home`; files of one build each go to `scratch`."""

    home: Path
    scratch: Path
    cache: BuildCache
    snapshots: Snapshots
    commands: Commands
    caches: CacheMounts
    contexts: Contexts
    networks: StepNetworks
    trees: WorkTrees
    usage: CacheUsage
    pruner: CachePruner
    gc: CacheGc

    async def restore(self) -> None:
        """Kill and remove what a killed daemon has left of builds. Before containers are restored."""
        await asyncio.to_thread(_emptied, self.scratch)
        await self.commands.sweep()
        await self.trees.start()
        await self.caches.start()
        self.gc.soon()

    async def close(self) -> None:
        """Finish what goes on in the background; builds have ended."""
        await self.contexts.close()
        await self.gc.close()
        await self.snapshots.close()
        await self.networks.close()
        await self.trees.close()
        await self.cache.write()


def build_store(config: Config, drivers: Drivers, resources: Resources, containers: Containers) -> BuildStore:
    """Read the cache's records and build what uses them. Blocks; used at start-up only. Raises UnusableRules."""
    stores, home = resources.stores, config.data_root / "build"
    cache = BuildCache(drivers.store, stores.garbage, drivers.layers)
    trees = WorkTrees(home / "work", drivers.mapped)
    places = SnapshotStores(trees, drivers.layers, drivers.content, drivers.confine, stores.unpacker, stores.garbage)
    snapshots = Snapshots(places, cache)
    caches, remap = CacheMounts(home / "cache-mounts", cache, snapshots), Remap(drivers.mapped)
    networks = StepNetworks(resources.networks, remap.mapping)
    usage = CacheUsage(cache, snapshots, caches, stores.garbage)
    contexts = Contexts(home / "synced", drivers.confine.disk_usage)
    usage.others.append(contexts)
    pruner = CachePruner(cache, usage, caches, config.data_root)
    return BuildStore(
        home=home,
        scratch=home / "scratch",
        cache=cache,
        snapshots=snapshots,
        commands=Commands(snapshots, caches, networks, _step_host(config, drivers, containers, remap)),
        caches=caches,
        contexts=contexts,
        networks=networks,
        trees=trees,
        usage=usage,
        pruner=pruner,
        gc=CacheGc(pruner, rules(config.builder, lambda: total_bytes(config.data_root))),
    )


def _emptied(directory: Path) -> None:
    """Blocks; call in a thread. Raises OSError."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)


def _step_host(config: Config, drivers: Drivers, containers: Containers, remap: Remap) -> StepHost:
    return StepHost(
        host=containers.host,
        runtimes=drivers.runtimes,
        defaults=containers.defaults,
        resolver=ResolverDefaults(config.dns, config.dns_search, config.dns_opts),
        directory=config.exec_root / "build",
        remap=remap,
    )
