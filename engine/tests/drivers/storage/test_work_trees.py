"""Trees that builds work in. Needs root."""

import asyncio
import os
from pathlib import Path

import pytest

from engine.drivers.storage.work_trees import WorkTrees

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


@pytest.fixture
async def trees(tmp_path):
    trees = WorkTrees(tmp_path / "work")
    await trees.start()
    yield trees
    await trees.close()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def left(tmp_path):
    return sorted(os.listdir(tmp_path / "work"))


def layer(tmp_path, name, **files):
    made = tmp_path / name
    made.mkdir()
    for file, text in files.items():
        (made / file).write_text(text)
    return made


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_changes_are_taken_apart_from_what_lies_below(trees, tmp_path, count):
    lowers = [layer(tmp_path, f"l{n}", **{f"f{n}": str(n)}) for n in range(count)]
    tree = await trees.open(lowers)
    assert sorted(os.listdir(tree.merged)) == [f"f{n}" for n in range(count)]
    (tree.merged / "new").write_text("new")
    await trees.unmount(tree)
    assert os.listdir(tree.upper) == ["new"]
    assert not any((lower / "new").exists() for lower in lowers)
    trees.drop(tree)


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_views_cannot_be_changed(trees, tmp_path, count):
    lowers = [layer(tmp_path, f"l{n}", same=str(n)) for n in range(count)]
    tree = await trees.view(lowers)
    assert [p.read_text() for p in tree.merged.iterdir()] == (["0"] if count else [])
    with pytest.raises(OSError, match="Read-only"):
        (tree.merged / "x").write_text("x")
    trees.drop(tree)


async def test_nothing_remains_of_a_tree(trees, tmp_path):
    tree = await trees.open([])
    (tree.merged / "x").write_text("x")
    trees.drop(tree)
    trees.drop(tree)
    await trees.close()
    assert left(tmp_path) == ["empty", "nothing"]


async def test_a_mount_that_fails_leaves_nothing(trees, tmp_path):
    with pytest.raises(OSError):
        await trees.open([tmp_path / "none"])
    await trees.close()
    assert left(tmp_path) == ["empty", "nothing"]


async def test_what_a_killed_daemon_left_is_removed(trees, tmp_path):
    tree = await trees.open([])
    (tree.merged / "x").write_text("x")
    again = WorkTrees(tmp_path / "work")
    await again.start()
    await again.close()
    assert left(tmp_path) == ["empty", "nothing"]


async def test_a_cancelled_mount_is_undone(trees, tmp_path):
    opening = asyncio.ensure_future(trees.open([]))
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    await trees.close()
    assert left(tmp_path) == ["empty", "nothing"]
