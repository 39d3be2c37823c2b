"""Builds the fronts of the builder: what serves `POST /build`, and the frontend that reads Dockerfiles."""

import shutil

from engine.api.handlers.build import BuildHandlers
from engine.api.handlers.build_solved import ClientOf, SolvedBuilds, SolvedParts
from engine.config.settings import Config
from engine.daemon.builder import Builder
from engine.daemon.drivers import Drivers
from engine.daemon.resources import Resources
from engine.domain.builder.builds import Builds
from engine.domain.builder.classic.build import BuildParts, ClassicBuilder
from engine.domain.builder.classic.step import Workshop
from engine.domain.builder.classic.step_images import StepImages
from engine.domain.builder.frontend import DockerfileFrontend
from engine.domain.builder.solver.reader import TreeReader
from engine.domain.images.pull import Puller
from engine.domain.images.tag import Tagger


def dockerfile_frontend(builder: Builder, drivers: Drivers) -> DockerfileFrontend:
    """Return the frontend `dockerfile.v0`."""
    return DockerfileFrontend(TreeReader(builder.solver, drivers.confine), builder.resolver)


def classic_handlers(
    config: Config, drivers: Drivers, resources: Resources, builder: Builder, builds: Builds, client_of: ClientOf
) -> BuildHandlers:
    """Return the handlers of `POST /build`. Blocks; used at start-up only."""
    stores, events = resources.stores, resources.image_events
    scratch = config.data_root / "build" / "contexts"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700, parents=True)
    workshop = Workshop(builder.solver, builder.snapshots, StepImages(drivers.store, stores), resources.images)
    parts = BuildParts(
        workshop=workshop,
        reader=TreeReader(builder.solver, drivers.confine),
        resolver=builder.resolver,
        pull=Puller(stores, drivers.transport, resources.downloader, events).pull,
        tagger=Tagger(stores.catalog, resources.images, events),
        confine=drivers.confine,
        scratch=scratch,
    )
    solved = SolvedBuilds(SolvedParts(builds, client_of, drivers.confine, scratch))
    return BuildHandlers(ClassicBuilder(parts), solved, builder.pruner)
