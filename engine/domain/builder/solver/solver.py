"""Of a graph, what an edge needs is made: at once where possible, each thing once, from the cache where it is there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from engine.domain.builder.failures import NotEntitled
from engine.domain.builder.job import INSECURE, NETWORK_HOST, Job
from engine.domain.builder.llb.codec import digest_of, inputs_first
from engine.domain.builder.llb.ops import Description, Edge, ExecOp, NetMode, Vertex
from engine.domain.builder.snapshot import Snapshot
from engine.domain.builder.solver.describe import lower_inputs
from engine.domain.builder.solver.vertex_run import Machinery, VertexRun


class Solver:
    """Makes trees of graphs."""

    def __init__(self, machinery: Machinery) -> None:
        self._machinery = machinery
        self._jobs: dict[str, Job] = {}
        self.after_job: Callable[[], None] = lambda: None

    async def solve(self, edge: Edge, job: Job) -> Snapshot:
        """Return the tree of an edge. Raises VertexFailed, NotEntitled.

        The tree is kept until the job is closed.
        """
        self._admit(job)
        described = _descriptions(edge.vertex)
        for vertex in _inputs_first(edge.vertex, lambda v: digest_of(v) in job.runs):
            self._run(vertex, described[digest_of(vertex)], job)
        run: VertexRun = job.runs[digest_of(edge.vertex)]
        if job.seals:
            self._seal_below(edge.vertex, job)
        return (await run.result())[edge.output]

    def _run(self, vertex: Vertex, description: Description, job: Job) -> None:
        _check_entitled(vertex, job)
        if description is not vertex.description:
            vertex = replace(vertex, description=description)
        inputs = [job.runs[digest_of(each.vertex)] for each in vertex.inputs]
        job.runs[digest_of(vertex)] = VertexRun(self._machinery, job, vertex, inputs)

    def _seal_below(self, top: Vertex, job: Job) -> None:
        """Let the archives of what the tree will consist of be made while later steps run."""
        pending = [top]
        while pending:
            vertex = pending.pop()
            run: VertexRun = job.runs[digest_of(vertex)]
            if not run.sealing:
                run.sealing = True
                pending += [vertex.inputs[number].vertex for number in lower_inputs(vertex)]

    def _admit(self, job: Job) -> None:
        """Keep what the job comes by, until it is closed."""
        kept, holder = self._machinery.garbage.kept, f"build {job.ref}"
        if kept.get(holder) is not job.needs:
            kept[holder] = job.needs
            self._jobs[holder] = job
            job.resources.callback(self._dismiss, holder)

    def _dismiss(self, holder: str) -> None:
        self._jobs.pop(holder, None)
        needs = self._machinery.garbage.kept.pop(holder, None)
        if needs is not None:
            self._machinery.garbage.soon(needs)
        self.after_job()

    async def close(self) -> None:
        """End all builds."""
        await asyncio.gather(*(job.close() for job in list(self._jobs.values())))

    @asynccontextmanager
    async def tree(self, edge: Edge | None, job: Job) -> AsyncIterator[Path]:
        """Give the tree of an edge to look at; no path in it may be resolved without care. Raises VertexFailed."""
        snapshot = Snapshot() if edge is None else await self.solve(edge, job)
        async with self._machinery.snapshots.view(snapshot) as path:
            yield path


def _descriptions(top: Vertex) -> dict[str, Description]:
    """Return how the vertices of a graph are described; of equal ones the last one says it, as with BuildKit."""
    found: dict[str, Description] = {}
    for vertex in inputs_first(top):
        description, before = vertex.description, found.get(digest_of(vertex))
        if before is not None and before.ignore_cache and not description.ignore_cache:
            description = replace(description, ignore_cache=True)
        found[digest_of(vertex)] = description
    return found


def _inputs_first(top: Vertex, is_known: Callable[[Vertex], bool]) -> Iterator[Vertex]:
    """Yield what is not known of a graph, each vertex after its inputs."""
    pending: list[tuple[Vertex, bool]] = [(top, False)]
    while pending:
        vertex, expanded = pending.pop()
        if is_known(vertex):
            continue
        if expanded:
            yield vertex
            continue
        pending.append((vertex, True))
        pending += [(edge.vertex, False) for edge in reversed(vertex.inputs)]


def _check_entitled(vertex: Vertex, job: Job) -> None:
    command = vertex.operation
    if not isinstance(command, ExecOp):
        return
    for entitlement, wanted in ((NETWORK_HOST, command.network is NetMode.HOST), (INSECURE, command.insecure)):
        if wanted and entitlement not in job.entitlements:
            raise NotEntitled(entitlement)
