"""Copies of clients' directories: one build at a time has each, and the next one finds it as it was left."""

from pathlib import Path

import pytest

from engine.domain.builder.contexts import Contexts


async def _measured(path: Path) -> int:
    return sum(each.stat().st_size for each in path.iterdir())


@pytest.fixture
def contexts(tmp_path: Path) -> Contexts:
    return Contexts(tmp_path / "synced", _measured, kept=3)


async def test_a_copy_is_found_again(contexts: Contexts) -> None:
    async with contexts.use("key", "context") as first:
        (first / "f").write_text("1")
    async with contexts.use("other", "context") as second:
        assert second != first
    async with contexts.use("key", "context") as again:
        assert again == first
        assert (again / "f").read_text() == "1"


async def test_builds_at_once_have_copies_of_their_own(contexts: Contexts) -> None:
    async with contexts.use("key", "context") as first, contexts.use("key", "context") as second:
        assert first != second


async def test_without_a_key_nothing_is_kept(contexts: Contexts) -> None:
    async with contexts.use("", "context") as first:
        (first / "f").write_text("1")
    await contexts.close()
    assert not first.exists()


async def test_a_failed_transfer_is_kept(contexts: Contexts) -> None:
    with pytest.raises(RuntimeError):
        async with contexts.use("key", "context") as first:
            (first / "f").write_text("1")
            raise RuntimeError
    async with contexts.use("key", "context") as again:
        assert again == first


async def test_the_least_used_go(contexts: Contexts) -> None:
    used = []
    for number in range(5):
        async with contexts.use(f"key{number}", "context") as path:
            used.append(path)
    await contexts.close()
    assert [path.exists() for path in used] == [False, False, True, True, True]


async def test_what_an_earlier_daemon_had_is_known(contexts: Contexts, tmp_path: Path) -> None:
    async with contexts.use("key", "context") as first:
        pass
    later = Contexts(tmp_path / "synced", _measured)
    async with later.use("key", "context") as again:
        assert again == first


async def test_usage_and_removal(contexts: Contexts) -> None:
    async with contexts.use("key", "context") as busy:
        async with contexts.use("idle", "dockerfile") as idle:
            (idle / "f").write_text("1234")
        found = {usage.description: usage for usage in await contexts.usage()}
        mine = found["local source for dockerfile"]
        assert (mine.kind, mine.size, mine.mutable, mine.in_use, mine.uses) == ("source.local", 4, True, False, 1)
        assert found["local source for context"].in_use
        await contexts.remove([usage.id for usage in found.values()])
        assert (busy.exists(), idle.exists()) == (True, False)
