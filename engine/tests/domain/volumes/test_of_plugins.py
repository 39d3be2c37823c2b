"""Volumes of plugins: who is asked, what is kept, names that are unique among all drivers."""

from pathlib import Path

import pytest

from engine.core.errors import Internal, NotFound
from engine.core.model.volume import Volume
from engine.domain.events.bus import EventBus
from engine.domain.volumes import failures
from engine.domain.volumes.drivers import NoSuchDriver
from engine.domain.volumes.volumes import VolumeRequest, Volumes
from engine.drivers.volumes.local import LocalVolumes
from engine.state.store import Store


class FakeDriver:
    def __init__(self, name):
        self.name = name
        self.volumes = {}
        self.users = {}
        self.error = None

    def _fail(self):
        if self.error:
            raise Internal(self.error)

    async def scope(self):
        return "global"

    async def get(self, name, *, patient=True):
        if name not in self.volumes:
            raise NotFound(name)
        return Volume(name=name, created_at=5, driver=self.name, mountpoint=f"/p/{name}", status={"s": 1})

    async def list(self):
        self._fail()
        return [await self.get(name) for name in self.volumes]

    async def create(self, name, options):
        self._fail()
        self.volumes[name] = options

    async def remove(self, name):
        self._fail()
        del self.volumes[name]

    async def mount(self, name, user):
        self._fail()
        self.users.setdefault(name, []).append(user)
        return f"/p/{name}"

    async def unmount(self, name, user):
        self._fail()
        self.users[name].remove(user)


class FakeDrivers:
    def __init__(self):
        self.all = {name: FakeDriver(name) for name in ("pa", "pb")}
        self.used = []

    async def driver(self, name):
        if name == "broken":
            raise Internal("legacy plugin: broken")
        if name not in self.all:
            raise NoSuchDriver(name)
        return self.all[name]

    async def present(self):
        return list(self.all.values())

    def acquire(self, name):
        self.used.append(name)

    def release(self, name):
        self.used.remove(name)


class World:
    def __init__(self, root: Path) -> None:
        self.root = root / "volumes"
        self.store = Store(root / "state.db")
        self.bus = EventBus(self.store)
        self.events = self.bus.subscribe()
        self.drivers = FakeDrivers()
        self.pa, self.pb = self.drivers.all.values()

    async def volumes(self) -> Volumes:
        self.drivers.used.clear()
        volumes = Volumes(self.store, LocalVolumes(self.root), self.bus, self.measure, self.drivers)
        await volumes.restore()
        return volumes

    async def measure(self, path: Path) -> int:
        return 1

    def seen(self):
        return [(e.action, e.actor, e.attributes) for e in self.events._queue]


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    yield world
    await world.bus.close()
    world.store.close()


async def test_life(world):
    volumes = await world.volumes()
    made = await volumes.create(VolumeRequest("data", "pa", {"l": "1"}, {"o": "2"}))
    assert (made.driver, made.mountpoint, made.created_at, made.scope) == ("pa", "", 0, "global")
    assert world.pa.volumes == {"data": {"o": "2"}}
    assert world.drivers.used == ["pa"]
    again = await world.volumes()
    found = await again.get("data")
    assert (found.labels, found.options, found.mountpoint, found.status) == (
        {"l": "1"},
        {"o": "2"},
        "/p/data",
        {"s": 1},
    )
    assert world.drivers.used == ["pa"]
    await again.remove("data")
    assert world.pa.volumes == {}
    assert world.drivers.used == []
    assert world.seen() == [("create", "data", {"driver": "pa"}), ("destroy", "data", {"driver": "pa"})]
    with pytest.raises(failures.VolumeNotFound):
        await again.get("data")


async def test_names_are_unique_among_drivers(world):
    volumes = await world.volumes()
    await volumes.create(VolumeRequest("mine"))
    await volumes.create(VolumeRequest("theirs", "pa"))
    taken = r"^create %s: driver '%s' already has volume '%s': volume name must be unique$"
    for name, driver, owner in (("mine", "pa", "local"), ("theirs", "local", "pa"), ("theirs", "pb", "pa")):
        with pytest.raises(failures.VolumeNameTaken, match=taken % (name, owner, name)):
            await volumes.create(VolumeRequest(name, driver))
    assert (await volumes.create(VolumeRequest("theirs"))).driver == "pa"


async def test_a_volume_that_its_plugin_lost_makes_room(world):
    volumes = await world.volumes()
    await volumes.create(VolumeRequest("data", "pa"))
    world.pa.volumes.clear()
    with pytest.raises(failures.VolumeNotFound):
        await volumes.get("data")
    assert (await volumes.create(VolumeRequest("data"))).driver == "local"
    assert world.drivers.used == []


async def test_a_volume_whose_plugin_is_gone_is_not_replaced(world):
    volumes = await world.volumes()
    await volumes.create(VolumeRequest("data", "pa"))
    del world.drivers.all["pa"]
    with pytest.raises(failures.VolumeNotFound):
        await volumes.get("data")
    for driver in ("", "local", "pb"):
        with pytest.raises(failures.DriverFailed, match='error looking up volume plugin pa: plugin "pa" not found'):
            await volumes.create(VolumeRequest("data", driver))
    await volumes.remove("data", force=True)
    assert (await volumes.create(VolumeRequest("data"))).driver == "local"


async def test_volumes_made_elsewhere_are_found(world):
    volumes = await world.volumes()
    world.pb.volumes["foreign"] = None
    assert (await volumes.get("foreign")).driver == "pb"
    assert [v.name for v in (await volumes.select({})).volumes] == ["foreign"]
    assert (await volumes.create(VolumeRequest("foreign"))).driver == "pb"
    assert world.seen() == []
    await volumes.remove("foreign")
    assert world.pb.volumes == {}


async def test_a_plugin_that_fails_does_not_hide_the_others(world):
    volumes = await world.volumes()
    await volumes.create(VolumeRequest("one", "pa"))
    await volumes.create(VolumeRequest("two", "pb"))
    world.pa.error = "no list today"
    listing = await volumes.select({"driver": ["pa", "pb"]})
    assert ([v.name for v in listing.volumes], listing.warnings) == (["two"], ["list pa: no list today"])


async def test_failures_are_worded_as_dockerds(world):
    volumes = await world.volumes()
    with pytest.raises(failures.DriverMissing, match=r'^create x1: error looking up volume plugin no: plugin "no" not'):
        await volumes.create(VolumeRequest("x1", "no"))
    with pytest.raises(failures.DriverFailed, match="^create x1: error looking up volume plugin broken: legacy plugin"):
        await volumes.create(VolumeRequest("x1", "broken"))
    await volumes.create(VolumeRequest("data", "pa"))
    world.pa.error = "nope"
    with pytest.raises(failures.DriverFailed, match="^create x1: nope$"):
        await volumes.create(VolumeRequest("x1", "pa"))
    with pytest.raises(failures.DriverFailed, match="^remove data: nope$"):
        await volumes.remove("data", force=True)
    with pytest.raises(failures.PluginMountFailed, match="^error while mounting volume '/p/data': nope$"):
        await volumes.mount("data", "c1")


async def test_users_are_mounted_once_each_and_survive_a_restart(world):
    volumes = await world.volumes()
    await volumes.create(VolumeRequest("data", "pa"))
    await volumes.acquire("data", "c1")
    assert await volumes.mount("data", "c1") == "/p/data"
    assert await volumes.mount("data", "c2") == "/p/data"
    assert await volumes.mount("data", "c2") == "/p/data"
    assert len(set(world.pa.users["data"])) == len(world.pa.users["data"]) == 2
    with pytest.raises(failures.VolumeInUse):
        await volumes.remove("data")
    later = await world.volumes()
    await later.mount_again("data", "c1")
    await later.mount_again("data", "c2")
    assert len(world.pa.users["data"]) == 2
    await later.unmount("data", "c1")
    await later.unmount("data", "c1")
    assert len(world.pa.users["data"]) == 1
    world.pa.error = "gone"
    await later.unmount("data", "c2")


async def test_anonymous_ones_go_with_their_container(world):
    volumes = await world.volumes()
    await volumes.create(VolumeRequest("ab" * 32, "pa", anonymous=True))
    await volumes.remove_unused("ab" * 32)
    assert world.pa.volumes == {}
