"""Builds the builder: the solver and what it is made of, exporters."""

from dataclasses import dataclass

from engine.config.settings import Config
from engine.daemon.build_store import BuildStore
from engine.daemon.drivers import Drivers
from engine.daemon.resources import Resources
from engine.domain.builder.classic.step_source import SCHEME, StepSource
from engine.domain.builder.exporters.assemble import Assembler
from engine.domain.builder.exporters.cache import CacheExporter
from engine.domain.builder.exporters.image import ImageExporter
from engine.domain.builder.failures import UnknownSource
from engine.domain.builder.llb.ops import DiffOp, ExecOp, FileOp, MergeOp, Operation
from engine.domain.builder.ops.file import FileOperations
from engine.domain.builder.ops.merge import Differing, Merging
from engine.domain.builder.solver.executors import Executor, Source
from engine.domain.builder.solver.flights import Flights
from engine.domain.builder.solver.solver import Solver
from engine.domain.builder.solver.vertex_run import Machinery
from engine.domain.builder.sources.client_origin import SCHEME as LAYOUT
from engine.domain.builder.sources.git import GitSource
from engine.domain.builder.sources.http import HttpSource
from engine.domain.builder.sources.image import ImageSource, ImageStores
from engine.domain.builder.sources.imported_cache import ImportedCache
from engine.domain.builder.sources.layout import LayoutSource
from engine.domain.builder.sources.local import LocalSource
from engine.domain.builder.sources.resolve import ImageResolver
from engine.domain.builder.sources.trees import SourceTrees
from engine.domain.images.garbage import Garbage
from engine.domain.images.push import Pusher


@dataclass(frozen=True, slots=True)
class Builder:
    """The parts that the fronts use."""

    store: BuildStore
    solver: Solver
    resolver: ImageResolver
    assembler: Assembler
    image_exporter: ImageExporter
    cache_exporter: CacheExporter


def build_builder(config: Config, drivers: Drivers, resources: Resources, store: BuildStore) -> Builder:
    """Build the builder upon what is kept."""
    stores, cache, snapshots = resources.stores, store.cache, store.snapshots
    resolver = ImageResolver(stores, resources.images, drivers.transport, resources.downloader)
    images = ImageSource(resolver, resources.images, ImageStores(snapshots, cache, stores.garbage, drivers.content))
    sources = _sources(images, drivers, store)
    sources |= {SCHEME: StepSource(resources.images, snapshots), LAYOUT: LayoutSource(resolver, images)}
    executors: dict[type, Executor] = {
        ExecOp: store.commands,
        FileOp: FileOperations(snapshots),
        MergeOp: Merging(),
        DiffOp: Differing(),
    }
    imports = ImportedCache(resolver, images)
    solver = Solver(_machinery(store, stores.garbage, imports, (sources, executors)))
    solver.after_job = store.gc.soon
    assembler = Assembler(solver, snapshots, drivers.content)
    pusher = Pusher(stores, drivers.transport, resources.image_events, config.max_concurrent_uploads or 5)
    return Builder(
        store=store,
        solver=solver,
        resolver=resolver,
        assembler=assembler,
        image_exporter=ImageExporter(assembler, stores.catalog, pusher, resources.image_events),
        cache_exporter=CacheExporter(solver, assembler, pusher, cache),
    )


def _sources(images: ImageSource, drivers: Drivers, store: BuildStore) -> dict[str, Source]:
    trees = SourceTrees(store.snapshots, store.cache)
    http = HttpSource(drivers.transport, trees, store.scratch)
    return {
        "docker-image": images,
        "local": LocalSource(),
        "http": http,
        "https": http,
        "git": GitSource(trees, store.scratch),
    }


def _machinery(
    store: BuildStore,
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

    return Machinery(store.cache, store.snapshots, Flights(), garbage, imports, source_of, executor_of)
