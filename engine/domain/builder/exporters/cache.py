"""`--cache-to type=registry`: what the steps of a build have made, pushed for other builds to take with `--cache-from`.

The cache is an image, or an index of several, whose configurations tell which steps made the layers. With `mode=max` it
holds what all steps have made, else that of the result only.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from engine.core import references
from engine.core.errors import InvalidParameter
from engine.domain.builder.cache import BuildCache
from engine.domain.builder.exporters.assemble import Assembler, Teller
from engine.domain.builder.exporters.image import silent
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import Edge
from engine.domain.builder.snapshot import Snapshot
from engine.domain.builder.solver.solver import Solver
from engine.domain.builder.solver.vertex_run import VertexRun
from engine.domain.builder.sources.resolve import vertex
from engine.domain.images.push import Pusher, PushOptions
from engine.drivers.registry.credentials import ANONYMOUS


class CacheWithoutRef(InvalidParameter):
    """Where the cache is to go is not said."""

    def __init__(self) -> None:
        super().__init__("ref is required for the registry cache exporter")


class RegistryCacheExporter:
    """Pushes caches."""

    def __init__(self, solver: Solver, assembler: Assembler, pusher: Pusher, cache: BuildCache) -> None:
        self._solver = solver
        self._assembler = assembler
        self._pusher = pusher
        self._cache = cache

    async def export(self, attrs: Mapping[str, str], edges: Sequence[Edge | None], job: Job) -> None:
        """Push; `edges` are those of the result. Raises CacheWithoutRef, WharfError, OSError."""
        if not attrs.get("ref"):
            raise CacheWithoutRef
        reference = references.parse(attrs["ref"]).with_default_tag()
        trees = [await self._solver.solve(edge, job) for edge in edges if edge is not None]
        if attrs.get("mode") == "max":
            trees += [tree async for tree in self._all(job)]
        async with vertex("exporting cache to registry", job) as digest:
            teller = Teller(job, digest)
            with teller.told("preparing build cache for export"):
                stored = await self._assembler.cache(list(_longest(trees)), job, teller)
            credentials = await job.credentials_for(reference.domain) or ANONYMOUS
            with teller.told(f"writing cache image manifest {stored.target.digest}"):
                await self._pusher.send(PushOptions(reference=reference, credentials=credentials), stored, silent)

    async def _all(self, job: Job) -> AsyncIterator[Snapshot]:
        for run in [run for run in job.runs.values() if isinstance(run, VertexRun)]:
            record = self._cache.peek(await run.key())
            if record is not None and record.layers:
                yield self._assembler.snapshots.of_records(record.layers)


def _longest(trees: Sequence[Snapshot]) -> Iterable[Snapshot]:
    """Yield the trees that are not the lower part of others."""
    stacks = {tuple(layer.id for layer in tree.layers): tree for tree in trees if tree.directory is None}
    for ids, tree in stacks.items():
        if ids and not any(len(other) > len(ids) and other[: len(ids)] == ids for other in stacks):
            yield tree
