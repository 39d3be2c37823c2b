"""Builds the fronts of the builder: what serves BuildKit's API, and `POST /build`.

Nobody imports it but `deferred_fronts.py`, with the first build.
"""

import asyncio
from dataclasses import dataclass

from engine.api.handlers.build import BuildHandlers
from engine.api.handlers.build_solved import SolvedBuilds, SolvedParts
from engine.api.routing import Route
from engine.config.settings import Config
from engine.daemon.build_store import BuildStore
from engine.daemon.builder import build_builder
from engine.daemon.buildkit import BuildKit, build_buildkit
from engine.daemon.drivers import Drivers
from engine.daemon.resources import Resources
from engine.domain.builder.classic.build import BuildParts, ClassicBuilder
from engine.domain.builder.classic.step import Workshop
from engine.domain.builder.classic.step_images import StepImages
from engine.domain.builder.solver.reader import TreeReader
from engine.domain.images.pull import Puller
from engine.domain.images.tag import Tagger


@dataclass(frozen=True, slots=True)
class BuildFronts:
    """The fronts."""

    buildkit: BuildKit
    classic: BuildHandlers

    def routes(self) -> list[Route]:
        """Return the routes of both."""
        return [*self.buildkit.handlers.routes(), *self.classic.routes()]

    def http2(self) -> asyncio.Protocol:
        """Return what serves a connection that speaks HTTP/2 outright."""
        return self.buildkit.server.protocol()

    async def close(self) -> None:
        """End all builds."""
        await self.buildkit.close()


async def build_fronts(
    config: Config, drivers: Drivers, resources: Resources, store: BuildStore, engine_id: str
) -> BuildFronts:
    """Build the builder and its fronts. Raises OSError."""
    builder = build_builder(config, drivers, resources, store)
    buildkit = await build_buildkit(config, drivers, resources, builder, engine_id)
    return BuildFronts(buildkit, _classic(drivers, resources, buildkit))


def _classic(drivers: Drivers, resources: Resources, buildkit: BuildKit) -> BuildHandlers:
    stores, events, builder = resources.stores, resources.image_events, buildkit.builder
    store = builder.store
    workshop = Workshop(builder.solver, store.snapshots, StepImages(drivers.store, stores), resources.images)
    parts = BuildParts(
        workshop=workshop,
        reader=TreeReader(builder.solver, drivers.confine),
        resolver=builder.resolver,
        pull=Puller(stores, drivers.transport, resources.downloader, events).pull,
        tagger=Tagger(stores.catalog, resources.images, events),
        confine=drivers.confine,
        scratch=store.scratch,
    )
    solved = SolvedBuilds(SolvedParts(buildkit.builds, buildkit.client_of, drivers.confine, store.scratch))
    return BuildHandlers(ClassicBuilder(parts), solved, store.pruner)
