"""Whatever fails while a container is made, nothing of it remains; what a kill leaves is written down."""

import asyncio
import json

import pytest

from engine.core.errors import Internal
from engine.core.model.container import Status
from engine.domain.containers.failures import NameInUse
from engine.tests.domain.containers.creation import Workshop

BODY = json.dumps({"Image": "rich", "HostConfig": {"Binds": ["named:/n"]}})


def require_nothing_left(workshop):
    assert not workshop.overlay.made and not workshop.volumes.held and not workshop.store.records
    assert not any(workshop.images.held.values())
    assert not any(len(name) == 64 for name in workshop.volumes.made), "an anonymous volume remains"
    assert workshop.table.name_owner("web") is None
    assert (
        not any((workshop.paths.data / "containers").iterdir()) if (workshop.paths.data / "containers").exists() else 1
    )
    assert not list(workshop.table.all()) and not workshop.announcer.told


async def test_a_failed_layer_leaves_nothing(tmp_path):
    workshop = Workshop(tmp_path)
    workshop.overlay.fail = True
    with pytest.raises(OSError, match="disk full"):
        await workshop.create(BODY, name="web")
    require_nothing_left(workshop)
    workshop.overlay.fail = False
    await workshop.create(BODY, name="web")


async def test_a_failed_volume_leaves_nothing(tmp_path):
    workshop = Workshop(tmp_path)
    workshop.volumes.fail_on = "named"
    with pytest.raises(Internal):
        await workshop.create(BODY, name="web")
    require_nothing_left(workshop)


async def test_a_client_that_goes_away_leaves_nothing(tmp_path):
    workshop = Workshop(tmp_path)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_):
        reached.set()
        await go_on.wait()
        return []

    workshop.images.unpacked = slow
    task = asyncio.create_task(workshop.create(BODY, name="web"))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    require_nothing_left(workshop)


async def test_a_kill_half_way_leaves_a_record_to_be_removed_with_its_volumes(tmp_path):
    workshop = Workshop(tmp_path)
    seen = {}

    async def look(*_):
        seen.update(workshop.store.records)

    workshop.overlay.create = look
    await workshop.create(BODY, name="web")
    (record,) = seen.values()
    assert record.state.status is Status.REMOVING
    assert {m.name for m in record.mounts if m.anonymous} <= set(workshop.volumes.made)
    assert sum(m.anonymous for m in record.mounts) == 2


async def test_a_name_is_taken_once(tmp_path):
    workshop = Workshop(tmp_path)
    await workshop.create(BODY, name="web")
    before = dict(workshop.volumes.made)
    with pytest.raises(NameInUse):
        await workshop.create(BODY, name="/web")
    assert workshop.volumes.made == before


async def test_networks_are_found_by_id(tmp_path):
    workshop = Workshop(tmp_path)
    inspected, _ = await workshop.create(json.dumps({"Image": "busybox", "HostConfig": {"NetworkMode": "idtn1"}}))
    assert list(inspected["NetworkSettings"]["Networks"]) == ["tn1"]
    assert inspected["HostConfig"]["NetworkMode"] == "idtn1"
