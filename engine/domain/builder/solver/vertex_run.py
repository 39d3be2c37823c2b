"""One vertex of one build: its key, then its result, each found once and told to the build's progress.

A key may take work: where the content of an input counts, that input is made first, unless the keys of what it comes
from are known to lead to a result already.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from engine.core import times
from engine.core.errors import WharfError
from engine.domain.builder.cache import BuildCache, CacheRecord, new_id
from engine.domain.builder.failures import NO_CONTENT_KEY, NO_SOURCE_KEY, ChecksumFailed
from engine.domain.builder.job import Job
from engine.domain.builder.llb.codec import digest_of
from engine.domain.builder.llb.ops import ExecOp, MountType, Operation, SourceOp, Vertex
from engine.domain.builder.progress import LogEvent, StatusEvent
from engine.domain.builder.snapshot import Snapshot, Snapshots
from engine.domain.builder.solver import describe, keys
from engine.domain.builder.solver.executors import Executor, Imports, Source, Work
from engine.domain.builder.solver.flights import Flights
from engine.domain.builder.solver.telling import VertexTeller
from engine.domain.images.garbage import Garbage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Machinery:
    """What vertices are made with."""

    cache: BuildCache
    snapshots: Snapshots
    flights: Flights
    garbage: Garbage
    imports: Imports
    source_of: Callable[[str], Source]
    executor_of: Callable[[Operation], Executor]


class VertexRun:
    """A vertex in a build."""

    def __init__(self, machinery: Machinery, job: Job, vertex: Vertex, inputs: Sequence["VertexRun"]) -> None:
        self._machinery = machinery
        self._job = job
        self._vertex = vertex
        self.digest = digest_of(vertex)
        self._inputs = inputs
        self.sealing = False
        self.transient = False
        """Whether no other build will have the same key; known when the key is."""
        self._selections = keys.content_selections(vertex)
        self.fresh: bool = (
            job.no_cache
            or vertex.description.ignore_cache
            or any(run.fresh for number, run in enumerate(inputs) if number not in self._selections)
        )
        """Whether it is to be made anew, or lies upon something that is."""
        self._links: tuple[str, Sequence[str], keys.Selections] | None = None
        self._teller = VertexTeller(job, vertex, [run.digest for run in inputs])
        self._work = Work(job, vertex, self.digest, self._teller.report)
        self._once: dict[str, asyncio.Task[Any]] = {}

    async def key(self) -> str:
        """Return the key. Raises VertexFailed."""
        return await self._only_once("key", self._find_key)

    async def result(self) -> Sequence[Snapshot]:
        """Return the trees of all outputs. Raises VertexFailed."""
        return await self._only_once("result", self._find_result)

    async def _only_once(self, what: str, work: Callable[[], Awaitable[T]]) -> T:
        if what not in self._once:
            self._once[what] = self._job.spawn(_awaited(work), f"{what}-{self.digest[7:19]}")
        found: T = await asyncio.shield(self._once[what])
        return found

    # Keys.

    async def _find_key(self) -> str:
        if isinstance(self._vertex.operation, SourceOp):
            return await self._source_key()
        selections = self._selections
        early = [
            self._job.spawn(self._early_content(number, selections), f"early-{self.digest[7:19]}")
            for number in selections
        ]
        if not self._inputs:
            self._teller.begin()
            self._teller.end(None)
        finding = asyncio.gather(*(self._input_key(number) for number in range(len(self._inputs))))
        numbered = await _unless_failed(finding, early)
        fast = keys.key_of(self._vertex, numbered)
        self.transient = any(run.transient for i, run in enumerate(self._inputs) if i not in selections)
        if selections:
            return await self._content_key(fast, numbered, selections)
        await self._look_up(fast)
        return fast

    async def _input_key(self, number: int) -> str:
        return keys.output_key(await self._inputs[number].key(), self._vertex.inputs[number].output)

    async def _early_content(self, number: int, selections: keys.Selections) -> None:
        """Look at an input whose key has never led to a result: its content will be asked for whatever others say."""
        part = keys.part_key(self._vertex, number, await self._input_key(number))
        if self._inputs[number].fresh or self._machinery.cache.canonical(part) is None:
            await self._content(number, selections[number])

    async def _source_key(self) -> str:
        async with self._teller.told(NO_SOURCE_KEY):
            source = self._source()
            self.transient = source.transient
            return keys.source_key(await source.identify(self._work))

    def _source(self) -> Source:
        operation = self._vertex.operation
        assert isinstance(operation, SourceOp)
        return self._machinery.source_of(operation.identifier.partition("://")[0])

    async def _content_key(self, fast: str, numbered: list[str], selections: keys.Selections) -> str:
        cache = self._machinery.cache
        known = None if any(run.fresh for run in self._inputs) else cache.canonical(fast)
        if known is not None and await self._look_up(known):
            return known
        digests = await asyncio.gather(*(self._content(number, wanted) for number, wanted in selections.items()))
        contents = dict(zip(selections, digests, strict=True))
        replaced = [contents.get(number, key) for number, key in enumerate(numbered)]
        key = keys.key_of(self._vertex, replaced)
        if await self._look_up(key):
            self._link(key, fast, numbered, selections)
        else:
            self._links = (fast, numbered, selections)
        return key

    def _link(self, key: str, fast: str, numbered: Sequence[str], selections: keys.Selections) -> None:
        """Let the result be found by the keys of the inputs, too; note for each of them that there is one."""
        lasting = [number for number in selections if not self._inputs[number].transient]
        links = [keys.part_key(self._vertex, number, numbered[number]) for number in lasting]
        if not any(run.transient for run in self._inputs):
            links.append(fast)
        for link in links:
            self._machinery.cache.link(link, key)

    async def _content(self, number: int, selections: Sequence[keys.Selection]) -> str:
        return await self._only_once(f"content-{number}", lambda: self._find_content(number, selections))

    async def _find_content(self, number: int, selections: Sequence[keys.Selection]) -> str:
        tree = await self._input(number)
        try:
            async with self._machinery.snapshots.view(tree) as path:
                return keys.content_key(await self._machinery.snapshots.confine.fingerprint(path, selections))
        except (WharfError, OSError) as error:
            ref = f"{secrets.token_hex(12)}::{secrets.token_hex(12)}"
            raise self._teller.refused(ChecksumFailed(ref, error), NO_CONTENT_KEY) from error

    async def _input(self, number: int) -> Snapshot:
        edge = self._vertex.inputs[number]
        return (await self._inputs[number].result())[edge.output]

    async def _look_up(self, key: str) -> bool:
        """Tell whether the cache has the result, which it then will keep for this build."""
        if self.fresh:
            return False
        record = self._machinery.cache.find(key) or await self._imported(key)
        if record is None:
            return False
        await self._keep(self._machinery.snapshots.of_records(record.layers))
        if self._inputs:
            self._teller.cached()
        return True

    def _need(self, *trees: Snapshot) -> None:
        self._job.needs.chains.update(layer.record.place for tree in trees for layer in tree.layers)

    async def _imported(self, key: str) -> CacheRecord | None:
        """Return what an image that the build names as a cache has of it."""
        tree = await self._machinery.imports.find(key, self._job, self._teller.report)
        if tree is None:
            return None
        await self._keep(tree)
        below = keys.image_layer_key(tree.layers[-1].id) if tree.layers else ""
        parent = self._machinery.cache.peek(below)
        await self._remember(key, [tree], [parent.id] if parent is not None else [])
        return self._machinery.cache.peek(key)

    async def _keep(self, *trees: Snapshot) -> None:
        self._need(*trees)
        await self._machinery.garbage.settled()

    # Results.

    async def _find_result(self) -> Sequence[Snapshot]:
        key = await self.key()
        if isinstance(self._vertex.operation, SourceOp):
            return await self._loaded()
        outputs = describe.output_count(self._vertex)
        if (cached := self._cached(key, outputs)) is not None:
            self._teller.cached()
            return cached
        inputs = await asyncio.gather(*(self._input(number) for number in range(len(self._inputs))))
        flight = f"{self._job.ref} {key}" if self.fresh or _is_private(self._vertex.operation) else key

        async def work(report: Callable[[StatusEvent | LogEvent], None]) -> Sequence[Snapshot]:
            if (cached := self._cached(key, outputs)) is not None:
                return cached
            executor = self._machinery.executor_of(self._vertex.operation)
            made = await executor.run(replace(self._work, report=report), inputs)
            # At once: an equal step of another build may take the record's place in the cache, and so this layer's.
            self._need(*made)
            await self._remember(key, made, await self._parents(inputs))
            return made

        async with self._teller.told():
            made = await self._machinery.flights.join(flight, work, self._teller.report)
        await self._keep(*made)
        if self.sealing:
            self._machinery.snapshots.seal_soon(made)
        return made

    async def _loaded(self) -> Sequence[Snapshot]:
        source = self._source()
        known = source.known(self._work)
        async with self._teller.told(again=False):
            tree = await source.load(self._work)
        if known:
            self._teller.cached()
        await self._keep(tree)
        return [tree]

    def _cached(self, key: str, outputs: int) -> Sequence[Snapshot] | None:
        if self.fresh:
            return None
        cache = self._machinery.cache
        records = [cache.peek(keys.output_key(key, number)) for number in range(outputs)]
        if any(record is None for record in records):
            return None
        return [self._machinery.snapshots.of_records(record.layers) for record in records if record is not None]

    async def _parents(self, inputs: Sequence[Snapshot]) -> list[str]:
        """Return the ids of the records that the result builds upon."""
        found: list[str] = []
        for number in describe.lower_inputs(self._vertex):
            edge, layers = self._vertex.inputs[number], inputs[number].layers
            key = keys.output_key(await self._inputs[number].key(), edge.output)
            record = self._machinery.cache.peek(key)
            if record is None and layers:
                record = self._machinery.cache.peek(keys.image_layer_key(layers[-1].id))
            found += [record.id] if record is not None else []
        return list(dict.fromkeys(found))

    async def _remember(self, key: str, made: Sequence[Snapshot], parents: list[str]) -> None:
        for number, tree in enumerate(made):
            if tree.directory is not None:
                continue
            record = CacheRecord(
                id=new_id(),
                key=keys.output_key(key, number),
                layers=[layer.id for layer in tree.layers],
                description=describe.record_of(self._vertex, number),
                parents=parents,
                created=times.now(),
                used_at=times.now(),
            )
            self._machinery.cache.add(record, [layer.record for layer in tree.layers])
        if self._links is not None:
            self._link(key, *self._links)
        await self._machinery.cache.write()


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


async def _unless_failed(work: "asyncio.Future[list[str]]", others: "Sequence[asyncio.Task[None]]") -> list[str]:
    """Wait for some work; where one of the others fails meanwhile, raise what it raises at once."""
    pending: set[asyncio.Future[Any]] = {work, *others}
    while not work.done():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for each in done - {work}:
            await each
    return await work


def _is_private(operation: Operation) -> bool:
    """Tell whether a command is given something that only one client has."""
    if not isinstance(operation, ExecOp):
        return False
    mounts = operation.mounts
    return bool(operation.secret_env) or any(m.kind in (MountType.SECRET, MountType.SSH) for m in mounts)
