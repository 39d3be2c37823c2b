"""The policy image-gc: what goes, in which order, and what never does."""

import asyncio

import pytest
import pytest_asyncio

from engine.core import references
from engine.core.model.container import ContainerConfig
from engine.domain.images.commit import CommitOptions, Committer
from engine.domain.images.image_gc import GcPolicy, ImageGc
from engine.domain.images.images import Hold
from engine.tests.domain.images.world import World


class Disk:
    """Each image takes ten percent."""

    def __init__(self, world):
        self.world = world

    def used(self):
        return 10.0 * len(self.world.catalog.images())


@pytest_asyncio.fixture
async def world(tmp_path):
    made = World(tmp_path)
    yield made
    await made.close()


async def image(world, name):
    committer = Committer(world.stores, world.announcer)
    reference = references.parse(name).with_default_tag() if name else None
    options = CommitOptions(reference, ContainerConfig(cmd=[name]), comment=name)
    return await committer.commit(committer.base("", ""), options, None)


def collector(world, limit, age=0):
    gc = ImageGc(world.catalog, world.images, world.deleter, Disk(world).used)
    gc._policy = GcPolicy(limit, age)
    return gc


def names(world):
    return sorted(references.parse(n.name).path for n in world.catalog.names())


async def test_the_oldest_go_until_it_is_enough(world):
    for name in ("library/a", "library/b", "library/c"):
        await image(world, name)
    assert await collector(world, 20).sweep() == 1
    assert names(world) == ["library/b", "library/c"]


async def test_nameless_ones_go_first(world):
    await image(world, "library/a")
    await image(world, "")
    assert await collector(world, 10).sweep() == 1
    assert names(world) == ["library/a"]


async def test_what_was_used_last_stays_longest(world):
    first = await image(world, "library/a")
    await image(world, "library/b")
    world.images.acquire("c1", Hold(first))
    world.images.release(first, "c1")
    await collector(world, 10).sweep()
    assert names(world) == ["library/a"]


async def test_what_a_container_uses_stays(world):
    held = await image(world, "library/a")
    world.images.acquire("c1", Hold(held))
    assert await collector(world, 1).sweep() == 0


@pytest.mark.parametrize(("limit", "age"), [(0, 0), (30, 0), (1, 3600)])
async def test_nothing_goes_without_need(world, limit, age):
    await image(world, "library/a")
    assert await collector(world, limit, age).sweep() == 0


async def test_a_changed_policy_is_followed_at_once(world):
    await image(world, "library/a")
    gc = ImageGc(world.catalog, world.images, world.deleter, Disk(world).used)
    gc.start(GcPolicy())
    gc.change(GcPolicy(1, 0))
    for _ in range(200):
        if not world.catalog.images():
            break
        await asyncio.sleep(0.01)
    assert world.catalog.images() == []
    await gc.close()
