"""Builds that are over: their records and progress survive the daemon."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from engine.core import times
from engine.core.model.build import BuildFailure
from engine.domain.builder import history as module
from engine.domain.builder.builds import Build, BuildRequest, ExportTarget
from engine.domain.builder.history import BuildHistory, Change, Codec, NotInHistory
from engine.domain.builder.job import Job
from engine.domain.builder.progress import LogEvent, Progress, VertexEvent, WarningEvent
from engine.state.store import Store


def _failure(error: Exception) -> BuildFailure:
    return BuildFailure(code=2, message=str(error), details=[("type", b"\0value")])


def _encoded(events: Iterable[Any]) -> bytes:
    return ",".join(type(event).__name__ for event in events).encode()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = await asyncio.to_thread(Store, tmp_path / "state.db")
    yield made
    await asyncio.to_thread(made.close)


def _history(store: Store, tmp_path: Path) -> BuildHistory:
    return BuildHistory(store, tmp_path / "history", Codec(_failure, _encoded))


@pytest.fixture
def history(store: Store, tmp_path: Path) -> BuildHistory:
    return _history(store, tmp_path)


def _build(ref: str) -> Build:
    session: Any = None
    job = Job(ref, session, Progress())
    for event in (
        VertexEvent("a", "one"),
        VertexEvent("a", "one", started=1, completed=2, cached=True),
        VertexEvent("b", "two", started=1),
        LogEvent("b", 1, b"x"),
        WarningEvent("b", "careful"),
    ):
        job.progress.send(event)
    return Build(BuildRequest(ref, [ExportTarget(0, "moby", {"name": "n"})]), job)


async def test_a_build_is_remembered(history: BuildHistory, store: Store, tmp_path: Path) -> None:
    build = _build("one")
    history.started(build)
    assert [record.ref for record in history.active()] == ["one"]
    await history.ended(build, {"digest": "d"}, None)
    assert history.active() == []
    later = await asyncio.to_thread(_history, store, tmp_path)
    record = later.get("one")
    assert (record.total_steps, record.completed_steps, record.cached_steps, record.warnings) == (2, 1, 1, 1)
    assert record.exporters[0].attrs == {"name": "n"}
    assert record.response == {"digest": "d"}
    assert record.failure is None
    kept = [data async for data in later.progress("one")]
    assert kept == [b"VertexEvent,VertexEvent,VertexEvent,LogEvent,WarningEvent"]


async def test_failures_keep_their_details(history: BuildHistory) -> None:
    for ref, error in {"failed": ValueError("why"), "left": asyncio.CancelledError()}.items():
        build = _build(ref)
        history.started(build)
        await history.ended(build, {}, error)
    assert history.get("failed").failure == BuildFailure(code=2, message="why", details=[("type", b"\0value")])
    assert history.get("left").failure == BuildFailure(code=1, message="context canceled")


async def test_refs_that_are_no_file_names_are_not_remembered(history: BuildHistory) -> None:
    for ref in ("../x", "a/b", ".", "", "a" * 200):
        build = _build(ref)
        history.started(build)
        await history.ended(build, {}, None)
    assert history.completed() == []


async def test_old_ones_are_forgotten_but_for_the_newest_and_the_pinned(
    history: BuildHistory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    for number in range(3):
        build = _build(f"b{number}")
        history.started(build)
        await history.ended(build, {}, None)
    assert len(history.completed()) == 3
    await history.pin("b0", pinned=True)
    later = times.now() + 49 * 3600 * 10**9
    monkeypatch.setattr(times, "now", lambda: later)
    for number in (3, 4):
        build = _build(f"b{number}")
        history.started(build)
        await history.ended(build, {}, None)
    assert {record.ref for record in history.completed()} == {"b0", "b3", "b4"}
    assert {path.name for path in (tmp_path / "history").iterdir()} == {"b0", "b3", "b4"}


async def test_who_listens_hears_of_changes(history: BuildHistory) -> None:
    with history.listening() as changes:
        build = _build("one")
        history.started(build)
        await history.ended(build, {}, None)
        await history.pin("one", pinned=True)
        await history.delete("one")
        await history.delete("unknown")
        heard = [changes.get_nowait()[0] for _ in range(4)]
        assert changes.empty()
    assert heard == [Change.STARTED, Change.COMPLETE, Change.COMPLETE, Change.DELETED]
    with pytest.raises(NotInHistory, match="failed to retrieve ref one: file does not exist"):
        await history.pin("one", pinned=True)
