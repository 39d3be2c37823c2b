"""Deletion: parents and children, platforms."""

import pytest
import pytest_asyncio

from engine.core import references
from engine.core.model.container import ContainerConfig
from engine.core.model.image import Platform
from engine.domain.images.commit import CommitOptions, Committer
from engine.domain.images.delete import Deleted, DeleteOptions
from engine.domain.images.failures import BlankName, NoPlatformProvided, PlatformNeedsForce, PlatformNotDeleted
from engine.domain.images.images import Hold
from engine.domain.images.selection import Listing
from engine.tests.domain.images.world import World


@pytest_asyncio.fixture
async def world(tmp_path):
    made = World(tmp_path)
    yield made
    await made.close()


async def derived(world, base, name):
    """The id of an image made from another one, or from nothing."""
    committer = Committer(world.stores, world.announcer)
    reference = references.parse(name).with_default_tag() if name else None
    below = committer.base(base, "")
    return await committer.commit(below, CommitOptions(reference, ContainerConfig(), comment=name or base), None)


def ids(world):
    return {i.target.digest for i in world.catalog.images()}


async def test_the_last_child_takes_its_nameless_parents_along(world):
    first = await derived(world, "", "")
    second = await derived(world, first, "")
    third = await derived(world, second, "c:1")
    assert await world.deleter.delete("c:1") == [
        Deleted(untagged="c:1"),
        *(Deleted(deleted=i) for i in (third, second, first)),
    ]
    assert ids(world) == set()


async def test_parents_that_somebody_needs_stay(world):
    first = await derived(world, "", "")
    second = await derived(world, first, "b:1")
    other = await derived(world, first, "c:1")
    await world.deleter.delete("b:1")
    assert ids(world) == {first, other}
    world.images.acquire("c1", Hold(first))
    await world.deleter.delete("c:1")
    assert ids(world) == {first}
    assert second not in ids(world)


async def test_without_pruning_parents_stay(world):
    first = await derived(world, "", "")
    await derived(world, first, "b:1")
    await world.deleter.delete("b:1", DeleteOptions(prune=False))
    assert ids(world) == {first}


async def test_a_parent_is_hidden_before_it_is_deleted(world):
    first = await derived(world, "", "a:1")
    second = await derived(world, first, "b:1")
    assert await world.deleter.delete("a:1") == [Deleted(untagged="a:1"), Deleted(deleted=first)]
    assert [s.stored.target.digest for s in world.lister.list(Listing())] == [second]
    assert {s.stored.target.digest for s in world.lister.list(Listing(all=True))} == {first, second}
    await world.deleter.delete(first)
    assert ids(world) == {second}


async def test_platforms(world):
    image = await derived(world, "", "x:1")
    ours = world.images.resolve("x:1").platform
    with pytest.raises(PlatformNeedsForce):
        await world.deleter.delete("x:1", DeleteOptions(platforms=[ours]))
    missing = DeleteOptions(force=True, platforms=[Platform(os="linux", architecture="s390x")])
    with pytest.raises(PlatformNotDeleted):
        await world.deleter.delete("x:1", missing)
    assert await world.deleter.delete("x:1", DeleteOptions(force=True, platforms=[ours])) == [Deleted(deleted=image)]
    with pytest.raises(NoPlatformProvided):
        world.images.resolve("x:1")
    assert await world.deleter.delete("x:1") == [Deleted(untagged="x:1"), Deleted(deleted=image)]
    assert ids(world) == set()


async def test_nothing_is_no_name(world):
    with pytest.raises(BlankName):
        await world.deleter.delete("")
