"""Builds the builder: the cache, the solver and what it is made of, exporters."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.config.settings import Config
from engine.daemon.containers import Containers
from engine.daemon.drivers import Drivers
from engine.daemon.resources import Resources
from engine.domain.builder.cache import BuildCache
from engine.domain.builder.cache_gc import CacheGc
from engine.domain.builder.classic.step_source import SCHEME, StepSource
from engine.domain.builder.exporters.assemble import Assembler
from engine.domain.builder.exporters.cache import RegistryCacheExporter
from engine.domain.builder.exporters.image import ImageExporter
from engine.domain.builder.failures import UnknownSource
from engine.domain.builder.llb.ops import DiffOp, ExecOp, FileOp, MergeOp, Operation
from engine.domain.builder.ops.cache_mounts import CacheMounts
from engine.domain.builder.ops.exec import Commands, StepHost
from engine.domain.builder.ops.file import FileOperations
from engine.domain.builder.ops.merge import Differing, Merging
from engine.domain.builder.ops.step_networks import StepNetworks
from engine.domain.builder.prune import CachePruner
from engine.domain.builder.snapshot import Snapshots, SnapshotStores
from engine.domain.builder.solver.executors import Executor, Source
from engine.domain.builder.solver.flights import Flights
from engine.domain.builder.solver.solver import Solver
from engine.domain.builder.solver.vertex_run import Machinery
from engine.domain.builder.sources.git import GitSource
from engine.domain.builder.sources.http import HttpSource
from engine.domain.builder.sources.image import ImageSource, ImageStores
from engine.domain.builder.sources.imported_cache import ImportedCache
from engine.domain.builder.sources.local import LocalSource
from engine.domain.builder.sources.resolve import ImageResolver
from engine.domain.builder.sources.trees import SourceTrees
from engine.domain.builder.usage import CacheUsage
from engine.domain.containers.sandbox import ResolverDefaults
from engine.domain.images.garbage import Garbage
from engine.domain.images.push import Pusher
from engine.drivers.storage.work_trees import WorkTrees


@dataclass(frozen=True, slots=True)
class Builder:
    """The parts that both fronts, and the daemon's life, use."""

    cache: BuildCache
    snapshots: Snapshots
    solver: Solver
    resolver: ImageResolver
    assembler: Assembler
    image_exporter: ImageExporter
    cache_exporter: RegistryCacheExporter
    commands: Commands
    caches: CacheMounts
    networks: StepNetworks
    trees: WorkTrees
    usage: CacheUsage
    pruner: CachePruner
    gc: CacheGc

    async def restore(self) -> None:
        """Kill and remove what a killed daemon has left of builds. Before containers are restored."""
        await self.commands.sweep()
        await self.trees.start()
        await self.caches.start()

    async def close(self) -> None:
        """Finish what goes on in the background; builds have ended."""
        await self.gc.close()
        await self.solver.close()
        await self.snapshots.close()
        await self.networks.close()
        await self.trees.close()
        await self.cache.write()


def build_builder(config: Config, drivers: Drivers, resources: Resources, containers: Containers) -> Builder:
    """Build the builder and read the cache's records. Blocks; used at start-up only."""
    stores, home = resources.stores, config.data_root / "build"
    cache = BuildCache(drivers.store, stores.garbage, drivers.layers)
    trees = WorkTrees(home / "work")
    places = SnapshotStores(trees, drivers.layers, drivers.content, drivers.confine, stores.unpacker, stores.garbage)
    snapshots = Snapshots(places, cache)
    caches, networks = CacheMounts(home / "cache-mounts", cache, snapshots), StepNetworks(resources.networks)
    commands = Commands(snapshots, caches, networks, _step_host(config, drivers, containers))
    resolver = ImageResolver(stores, resources.images, drivers.transport, resources.downloader)
    images = ImageSource(resolver, resources.images, ImageStores(snapshots, cache, stores.garbage, drivers.content))
    steps = StepSource(resources.images, snapshots)
    sources = _sources(images, SourceTrees(snapshots, cache), drivers, home / "scratch") | {SCHEME: steps}
    executors: dict[type, Executor] = {
        ExecOp: commands,
        FileOp: FileOperations(snapshots),
        MergeOp: Merging(),
        DiffOp: Differing(),
    }
    imports = ImportedCache(resolver, images, drivers.content)
    solver = Solver(_machinery(cache, snapshots, stores.garbage, imports, (sources, executors)))
    assembler = Assembler(solver, snapshots, drivers.content)
    usage = CacheUsage(cache, snapshots, caches, stores.garbage)
    pruner = CachePruner(cache, usage, caches, config.data_root)
    gc = CacheGc(pruner, config.data_root)
    solver.after_job = gc.soon
    pusher = Pusher(stores, drivers.transport, resources.image_events, config.max_concurrent_uploads or 5)
    return Builder(
        cache=cache,
        snapshots=snapshots,
        solver=solver,
        resolver=resolver,
        assembler=assembler,
        image_exporter=ImageExporter(assembler, stores.catalog, pusher, resources.image_events),
        cache_exporter=RegistryCacheExporter(solver, assembler, pusher, cache),
        commands=commands,
        caches=caches,
        networks=networks,
        trees=trees,
        usage=usage,
        pruner=pruner,
        gc=gc,
    )


def _sources(images: ImageSource, trees: SourceTrees, drivers: Drivers, scratch: Path) -> dict[str, Source]:
    """Blocks (a directory); used at start-up only."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700, parents=True)
    http = HttpSource(drivers.transport, trees, scratch)
    return {
        "docker-image": images,
        "local": LocalSource(),
        "http": http,
        "https": http,
        "git": GitSource(trees, scratch),
    }


def _step_host(config: Config, drivers: Drivers, containers: Containers) -> StepHost:
    return StepHost(
        host=containers.host,
        runtimes=drivers.runtimes,
        defaults=containers.defaults,
        resolver=ResolverDefaults(config.dns, config.dns_search, config.dns_opts),
        directory=config.exec_root / "build",
    )


def _machinery(
    cache: BuildCache,
    snapshots: Snapshots,
    garbage: Garbage,
    imports: ImportedCache,
    work: tuple[dict[str, Source], dict[type, Executor]],
) -> Machinery:
    sources, executors = work

    def source_of(scheme: str) -> Source:
        if scheme not in sources:
            raise UnknownSource(scheme)
        return sources[scheme]

    def executor_of(operation: Operation) -> Executor:
        return executors[type(operation)]

    return Machinery(cache, snapshots, Flights(), garbage, imports, source_of, executor_of)
