"""Builds that clients steer: calls that come before them or after them, results, failures."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from engine.core.errors import WharfError
from engine.domain.builder import builds as module
from engine.domain.builder.builds import (
    Build,
    BuildRequest,
    Builds,
    ExportTarget,
    NoSuchBuild,
    NoSuchRef,
    Parts,
    RefTaken,
    UnknownExporter,
    UnknownFrontend,
)
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import Edge, SourceOp, Vertex
from engine.domain.builder.progress import Progress
from engine.domain.builder.result import FrontendRequest, FrontendResult

_TREE = Edge(Vertex(SourceOp("local://x")))


class _Parts:
    """Plays frontend, solver and exporter."""

    def __init__(self) -> None:
        self.made: list[Edge] = []
        self.exported: list[tuple[str, int]] = []
        self.ended: list[tuple[str, Mapping[str, str], BaseException | None]] = []
        self.parts = Parts(self, {"front": self.front}, {"image": self}, ended=self.remember)  # type: ignore[arg-type]

    @property
    def front(self) -> "_Front":
        return _Front()

    async def solve(self, edge: Edge, _job: Job) -> None:
        self.made.append(edge)

    async def export(self, result: FrontendResult, target: ExportTarget, _job: Job) -> dict[str, str]:
        self.exported.append((target.kind, target.number))
        return {f"from {target.number}": str(sorted(result.metadata))}

    async def remember(self, build: Build, response: Mapping[str, str], error: BaseException | None) -> None:
        self.ended.append((build.request.ref, response, error))


class _Front:
    async def solve(self, request: FrontendRequest, _job: Job) -> FrontendResult:
        return FrontendResult({"": _TREE}, {"asked": str(request.options).encode()})


def _job(ref: str) -> Job:
    session: Any = None
    return Job(ref, session, Progress())


@pytest.fixture
def parts() -> _Parts:
    return _Parts()


@pytest.fixture
async def builds(parts: _Parts) -> Builds:
    return Builds(parts.parts)


def _request(ref: str, *kinds: str, **more: Any) -> BuildRequest:
    return BuildRequest(ref, [ExportTarget(number, kind) for number, kind in enumerate(kinds)], **more)


async def test_a_client_steers_its_build(builds: Builds, parts: _Parts) -> None:
    waiting = asyncio.ensure_future(builds.find("a"))
    await asyncio.sleep(0)
    running = asyncio.ensure_future(builds.run(_request("a", "image", "image"), _job("a")))
    build = await waiting
    result = await builds.ask("front", FrontendRequest({"k": "v"}), build)
    ref = build.remember(result.refs[""])
    assert parts.made == []
    build.finish(FrontendResult({"": build.edge(ref)}, {"m": b""}))
    assert await running == {"from 0": "['m']", "from 1": "['m']"}
    assert parts.made == [_TREE]
    assert parts.exported == [("image", 0), ("image", 1)]
    assert parts.ended == [("a", {"from 0": "['m']", "from 1": "['m']"}, None)]
    assert build.job.progress.ended
    assert await builds.find("a") is build


async def test_a_frontend_that_the_build_names_itself(builds: Builds, parts: _Parts) -> None:
    await builds.run(_request("a", "image", frontend="front"), _job("a"))
    assert parts.made == [_TREE]
    await builds.run(_request("b", definition=_TREE), _job("b"))
    assert parts.made == [_TREE, _TREE]


async def test_what_a_client_gives_up_with_is_what_fails(builds: Builds, parts: _Parts) -> None:
    running = asyncio.ensure_future(builds.run(_request("a"), _job("a")))
    build = await builds.find("a")
    error = WharfError("told by the client")
    build.fail(error)
    build.finish(FrontendResult())
    with pytest.raises(WharfError) as found:
        await running
    assert found.value is error
    assert parts.ended == [("a", {}, error)]


async def test_a_build_whose_client_leaves(builds: Builds, parts: _Parts) -> None:
    running = asyncio.ensure_future(builds.run(_request("a"), _job("a")))
    build = await builds.find("a")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert isinstance(parts.ended[0][2], asyncio.CancelledError)
    assert build.job.progress.ended
    build.finish(FrontendResult())


async def test_builds_that_are_not_worth_remembering(builds: Builds, parts: _Parts) -> None:
    await builds.run(_request("a", frontend="front", internal=True), _job("a"))
    assert parts.ended == []


async def test_a_record_that_cannot_be_written_fails_no_build(parts: _Parts) -> None:
    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    builds = Builds(Parts(parts, {"front": _Front()}, {}, ended=full))  # type: ignore[arg-type]
    assert await builds.run(_request("a", frontend="front"), _job("a")) == {}


async def test_nobody_waits_for_ever(builds: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoSuchBuild, match="no such job b"):
        await builds.find("b", patience=0.01)
    monkeypatch.setattr(module, "_MEMORY", 0.01)
    await builds.run(_request("a", frontend="front"), _job("a"))
    await asyncio.sleep(0.05)
    with pytest.raises(NoSuchBuild):
        await builds.find("a", patience=0.01)


async def test_names_that_mean_nothing(builds: Builds, parts: _Parts) -> None:
    with pytest.raises(UnknownFrontend, match="invalid frontend: x"):
        await builds.run(_request("a", frontend="x"), _job("a"))
    with pytest.raises(UnknownExporter, match='exporter "x" could not be found'):
        await builds.run(_request("b", "image", "x", frontend="front"), _job("b"))
    assert parts.made == parts.exported == []
    with pytest.raises(RefTaken):
        await builds.run(_request("b", frontend="front"), _job("b"))
    build = await builds.find("b")
    assert build.edge("") is None
    with pytest.raises(NoSuchRef, match="no such ref: y"):
        build.edge("y")
