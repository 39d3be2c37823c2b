"""Builds that run on behalf of a client that steers them: BuildKit's flow, with the frontend called by the client.

The client asks for a build (`run`), and meanwhile, by its name, solves graphs within it, reads what they made, and
says at last what the result is; then the result is made and exported. Progress can be followed before the build begins
and a while after its end. Owns the running builds; the graphs are the solver's matter.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from engine.core import ids, times
from engine.core.errors import InvalidParameter, NotFound
from engine.domain.builder import provenance
from engine.domain.builder.job import CachePlace, Job
from engine.domain.builder.llb.ops import Edge
from engine.domain.builder.provenance import Circumstances
from engine.domain.builder.result import FrontendRequest, FrontendResult

log = logging.getLogger(__name__)
# Clients ask for a build's progress, and call within it, before they have asked for the build.
_PATIENCE = 5.0
# A build of nothing, made to learn what the daemon can do, is over before the client asks for its progress.
_MEMORY = 30.0
# Exporters that always take what is said of an image; others only where it is to be beside it.
_IMAGES = ("moby", "image")


class NoSuchBuild(NotFound):
    """No build of that name runs."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"no such job {ref}")


class NoSuchRef(NotFound):
    """A build has no result of that name."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"no such ref: {ref}")


class UnknownFrontend(InvalidParameter):
    """The daemon has no frontend of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"invalid frontend: {name}")


class UnknownExporter(NotFound):
    """The daemon has no exporter of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'exporter "{name}" could not be found')


class RefTaken(InvalidParameter):
    """A build of that name runs already."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"job ID {ref} exists")


@dataclass(frozen=True, slots=True)
class ExportTarget:
    """Where a result goes. `number` is how the client knows the exporter."""

    number: int
    kind: str
    attrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CacheChoice:
    """A cache to import from or to export to: `inline`, `registry`, `local`."""

    kind: str
    attrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What a client asks for. `internal`: not worth remembering. Without a frontend and a graph, the client steers.

    `entitlements` are what the client allows its commands to do.
    """

    ref: str
    exporters: Sequence[ExportTarget] = ()
    frontend: str = ""
    frontend_request: FrontendRequest = field(default_factory=FrontendRequest)
    definition: Edge | None = None
    cache_imports: Sequence[CacheChoice] = ()
    cache_exports: Sequence[CacheChoice] = ()
    internal: bool = False
    entitlements: Sequence[str] = ()


class Frontend(Protocol):
    """Makes graphs."""

    async def solve(self, request: FrontendRequest, job: Job) -> FrontendResult:
        """Return what a request comes down to."""
        ...


class Solver(Protocol):
    """Makes trees."""

    async def solve(self, edge: Edge, job: Job) -> Any:
        """Make what an edge needs."""
        ...


class Exporter(Protocol):
    """Takes results somewhere."""

    async def export(self, result: FrontendResult, target: ExportTarget, job: Job) -> Mapping[str, str]:
        """Export; return what the client is told of it."""
        ...


class CacheExporter(Protocol):
    """Takes what steps have made elsewhere."""

    async def export(self, choice: CacheChoice, edges: Sequence[Edge | None], job: Job) -> Mapping[str, str]:
        """Export; `edges` are those of the result. Return what the client is told."""
        ...


class Build:
    """A running build, or one that has just ended."""

    def __init__(self, request: BuildRequest, job: Job) -> None:
        self.request = request
        self.job = job
        self.created = times.now()
        self.frontend = request.frontend
        self.options: Mapping[str, str] = request.frontend_request.options
        self.returned: asyncio.Future[FrontendResult] = asyncio.get_running_loop().create_future()
        self.provenance: Mapping[str, Any] = {}
        self.inline_only = True
        self.over = False
        self._refs: dict[str, Edge | None] = {}

    def remember(self, edge: Edge | None) -> str:
        """Return the name by which the client can refer to an edge."""
        ref = ids.new_id()[:25]
        self._refs[ref] = edge
        return ref

    def edge(self, ref: str) -> Edge | None:
        """Return the edge of a name; the empty one is the empty tree's. Raises NoSuchRef."""
        if not ref:
            return None
        if ref not in self._refs:
            raise NoSuchRef(ref)
        return self._refs[ref]

    def finish(self, result: FrontendResult) -> None:
        """The client has decided what the result is."""
        if not self.returned.done():
            self.returned.set_result(result)

    def fail(self, error: Exception) -> None:
        """The client has given up."""
        if not self.returned.done():
            self.returned.set_exception(error)


def _cache_place(choice: CacheChoice) -> CachePlace | None:
    """Return where a cache is; None for what is no place of a cache that is understood."""
    attrs = choice.attrs
    if choice.kind == "local":
        return CachePlace(directory=attrs.get("src", ""), digest=attrs.get("digest", ""))
    return CachePlace(reference=attrs["ref"]) if attrs.get("ref") else None


def _dated(target: ExportTarget, build: Build) -> ExportTarget:
    """Let exporters know of SOURCE_DATE_EPOCH, which clients give as a build argument."""
    options = build.request.frontend_request.options or build.options
    epoch = options.get("build-arg:SOURCE_DATE_EPOCH")
    return target if not epoch else replace(target, attrs={"source-date-epoch": epoch, **target.attrs})


@dataclass(frozen=True, slots=True)
class Parts:
    """Who does the work: frontends and exporters by name, the solver, and who is told of each build that has ended.

    `permit` refuses what cannot be had here, and tells the job what its commands may do.
    """

    solver: Solver
    frontends: Mapping[str, Frontend]
    exporters: Mapping[str, Exporter]
    permit: Callable[[BuildRequest, Job], None] = lambda request, job: None
    started: Callable[[Build], None] = lambda build: None
    ended: Callable[[Build, Mapping[str, str], BaseException | None], Awaitable[None]] | None = None
    cache_exporter: CacheExporter | None = None


class Builds:
    """All builds under way."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._builds: dict[str, Build] = {}
        self._changed = asyncio.Condition()
        self._forgetting: dict[str, asyncio.TimerHandle] = {}

    def running(self, ref: str) -> bool:
        """Tell whether a build runs, or has just ended."""
        return ref in self._builds

    async def find(self, ref: str, patience: float = _PATIENCE) -> Build:
        """Return a build, which may be about to begin. Raises NoSuchBuild."""
        try:
            async with asyncio.timeout(patience), self._changed:
                await self._changed.wait_for(lambda: ref in self._builds)
        except TimeoutError:
            raise NoSuchBuild(ref) from None
        return self._builds[ref]

    async def run(self, request: BuildRequest, job: Job) -> Mapping[str, str]:
        """Run a build; return what its exporters say. Raises WharfError, and what the client gave up with."""
        async with self._known(request, job) as build:
            response: dict[str, str] = {}
            error: BaseException | None = None
            try:
                self._parts.permit(request, job)
                result = await self._result(build)
                response.update(await self._export(build, result))
            except BaseException as found:
                error, build.over = found, True
                raise
            finally:
                await self._ended(build, response, error)
        return response

    async def _ended(self, build: Build, response: Mapping[str, str], error: BaseException | None) -> None:
        if self._parts.ended is None or build.request.internal:
            return
        try:
            await self._parts.ended(build, response, error)
        except OSError as failure:
            log.error("build %s cannot be remembered: %s", build.request.ref, failure)

    @asynccontextmanager
    async def _known(self, request: BuildRequest, job: Job) -> AsyncIterator[Build]:
        if request.ref in self._builds:
            raise RefTaken(request.ref)
        job.cache_from = [place for place in map(_cache_place, request.cache_imports) if place is not None]
        job.inline_cache = any(entry.kind == "inline" for entry in request.cache_exports)
        build = Build(request, job)
        async with self._changed:
            self._builds[request.ref] = build
            self._changed.notify_all()
        if not request.internal:
            self._parts.started(build)
        try:
            async with job:
                yield build
        finally:
            build.over = True
            build.returned.cancel()
            job.progress.end()
            loop = asyncio.get_running_loop()
            self._forgetting[request.ref] = loop.call_later(_MEMORY, self._forget, request.ref)

    def _forget(self, ref: str) -> None:
        self._builds.pop(ref, None)
        self._forgetting.pop(ref, None)

    async def _result(self, build: Build) -> FrontendResult:
        request = build.request
        if request.frontend:
            return await self.ask(request.frontend, request.frontend_request, build)
        if request.definition is not None:
            return FrontendResult({"": request.definition})
        return await build.returned

    async def ask(self, frontend: str, request: FrontendRequest, build: Build) -> FrontendResult:
        """Let a frontend make graphs within a build. Raises WharfError."""
        if frontend not in self._parts.frontends:
            raise UnknownFrontend(frontend)
        build.frontend, build.options = frontend, request.options
        return await self._parts.frontends[frontend].solve(request, build.job)

    async def evaluate(self, edges: Sequence[Edge | None], job: Job) -> None:
        """Make trees now. Raises WharfError."""
        wanted = [self._parts.solver.solve(edge, job) for edge in edges if edge is not None]
        await asyncio.gather(*wanted)

    async def _export(self, build: Build, result: FrontendResult) -> Mapping[str, str]:
        missing = [target.kind for target in build.request.exporters if target.kind not in self._parts.exporters]
        if missing:
            raise UnknownExporter(missing[0])
        await self.evaluate(list(result.refs.values()), build.job)
        attested = self._attested(build, result)
        response: dict[str, str] = {}
        for target in build.request.exporters:
            given = attested if target.kind in _IMAGES or not build.inline_only else result
            exporter = self._parts.exporters[target.kind]
            response.update(await exporter.export(given, _dated(target, build), build.job))
        for cache in build.request.cache_exports:
            if cache.kind != "inline" and self._parts.cache_exporter is not None:
                edges = list(result.refs.values())
                response.update(await self._parts.cache_exporter.export(cache, edges, build.job))
        return response

    def _attested(self, build: Build, result: FrontendResult) -> FrontendResult:
        """Say of each tree where it comes from, as far as the client wants it, and keep what is said."""
        options = build.request.frontend_request.options or build.options
        wanted = provenance.wanted(options)
        circumstances = Circumstances(build.request.ref, build.frontend, options, build.created, times.now())
        for edge in result.refs.values():
            build.provenance = provenance.predicate(edge, circumstances, full=True)
        if wanted is None:
            return result
        build.inline_only = wanted.inline_only
        said = {
            platform: [provenance.attestation(edge, circumstances, wanted)] for platform, edge in result.refs.items()
        }
        return replace(result, attestations=said)

    def close(self) -> None:
        """Forget what is over."""
        for timer in self._forgetting.values():
            timer.cancel()
