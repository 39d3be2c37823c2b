"""`--cache-to type=registry|local`: what the steps of a build have made, for other builds to take with `--cache-from`.

The cache is an image, or an index of several, whose configurations tell which steps made the layers. With `mode=max` it
holds what all steps have made, else that of the result only. It is pushed, or put into a directory of the client's.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

import msgspec

from engine.core import references
from engine.core.errors import InvalidParameter
from engine.core.model.image import StoredImage
from engine.domain.builder.builds import CacheChoice
from engine.domain.builder.cache import BuildCache
from engine.domain.builder.exporters.assemble import Assembler, Teller
from engine.domain.builder.exporters.client_layout import send_image
from engine.domain.builder.exporters.image import silent
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import Edge
from engine.domain.builder.snapshot import Snapshot
from engine.domain.builder.solver.solver import Solver
from engine.domain.builder.solver.vertex_run import VertexRun
from engine.domain.builder.sources.resolve import vertex
from engine.domain.images.documents import descriptor_json
from engine.domain.images.push import Pusher, PushOptions
from engine.drivers.registry.credentials import ANONYMOUS


class CacheWithoutRef(InvalidParameter):
    """Where the cache is to go is not said."""

    def __init__(self) -> None:
        super().__init__("ref is required for the registry cache exporter")


class CacheWithoutDirectory(InvalidParameter):
    """Where the cache is to go is not said."""

    def __init__(self) -> None:
        super().__init__("local cache exporter requires dest")


class CacheExporter:
    """Exports caches."""

    def __init__(self, solver: Solver, assembler: Assembler, pusher: Pusher, cache: BuildCache) -> None:
        self._solver = solver
        self._assembler = assembler
        self._pusher = pusher
        self._cache = cache

    async def export(self, choice: CacheChoice, edges: Sequence[Edge | None], job: Job) -> Mapping[str, str]:
        """Export; `edges` are those of the result. Return what the client is told.

        Raises CacheWithoutRef, CacheWithoutDirectory, WharfError, OSError.
        """
        export = self._to_registry if choice.kind == "registry" else self._to_directory
        trees = [await self._solver.solve(edge, job) for edge in edges if edge is not None]
        if choice.attrs.get("mode") == "max":
            trees += [tree async for tree in self._all(job)]
        stored = await export(choice.attrs, list(_longest(trees)), job)
        return {"cache.manifest": msgspec.json.encode(descriptor_json(stored.target)).decode()}

    async def _to_registry(self, attrs: Mapping[str, str], trees: Sequence[Snapshot], job: Job) -> StoredImage:
        if not attrs.get("ref"):
            raise CacheWithoutRef
        reference = references.parse(attrs["ref"]).with_default_tag()
        async with vertex("exporting cache to registry", job) as digest:
            teller = Teller(job, digest)
            stored = await self._prepared(trees, job, teller)
            credentials = await job.credentials_for(reference.domain) or ANONYMOUS
            with teller.told(f"writing cache image manifest {stored.target.digest}"):
                await self._pusher.send(PushOptions(reference=reference, credentials=credentials), stored, silent)
        return stored

    async def _to_directory(self, attrs: Mapping[str, str], trees: Sequence[Snapshot], job: Job) -> StoredImage:
        if not attrs.get("dest"):
            raise CacheWithoutDirectory
        async with vertex("exporting cache to client directory", job) as digest:
            teller = Teller(job, digest)
            stored = await self._prepared(trees, job, teller)
            store = await job.session.store(f"local:{attrs['dest']}")
            await send_image(store, self._assembler.content, stored, teller.told)
        return stored

    async def _prepared(self, trees: Sequence[Snapshot], job: Job, teller: Teller) -> StoredImage:
        with teller.told("preparing build cache for export"):
            return await self._assembler.cache(trees, job)

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
