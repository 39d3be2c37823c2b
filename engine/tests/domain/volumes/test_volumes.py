"""Volumes: life, holders, filters, prune, events, and what a kill at any step leaves."""

import asyncio
import os
from pathlib import Path

import pytest

from engine.core.filters import InvalidFilter
from engine.core.model.volume import Volume
from engine.domain.events.bus import EventBus
from engine.domain.volumes import failures
from engine.domain.volumes.drivers import NoSuchDriver
from engine.domain.volumes.volumes import KIND, VolumeRequest, Volumes
from engine.drivers.volumes.local import LocalVolumes
from engine.state.store import Put, Store


class NoDrivers:
    """No driver but `local`."""

    async def driver(self, name):
        raise NoSuchDriver(name)

    async def present(self):
        return ()

    def acquire(self, name):
        """Nothing to note."""

    def release(self, name):
        """Nothing to note."""


class World:
    def __init__(self, root: Path) -> None:
        self.root = root / "volumes"
        self.store = Store(root / "state.db")
        self.bus = EventBus(self.store)
        self.events = self.bus.subscribe()

    async def volumes(self) -> Volumes:
        volumes = Volumes(self.store, LocalVolumes(self.root), self.bus, self.measure, NoDrivers())
        await volumes.restore()
        return volumes

    async def measure(self, path: Path) -> int:
        return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())

    def seen(self) -> list[tuple[str, str]]:
        return [(e.action, e.actor) for e in self.events._queue]


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    yield world
    await world.bus.close()
    world.store.close()


async def test_create_gives_a_directory_a_record_and_an_event(world):
    volumes = await world.volumes()
    volume = await volumes.create(VolumeRequest("data", labels={"a": "b"}))
    assert volume.mountpoint == str(world.root / "data/_data")
    assert Path(volume.mountpoint).stat().st_mode & 0o777 == 0o755
    assert (world.root / "data").stat().st_mode & 0o777 == 0o711
    assert world.seen() == [("create", "data")]
    assert await (await world.volumes()).get("data") == volume


async def test_create_of_an_existing_name_returns_it(world):
    volumes = await world.volumes()
    first = await volumes.create(VolumeRequest("data", labels={"a": "b"}))
    assert await volumes.create(VolumeRequest("data", labels={"c": "d"})) is first
    assert world.seen() == [("create", "data")]


async def test_many_creates_of_one_name_at_once_make_one_volume(world):
    volumes = await world.volumes()
    made = await asyncio.gather(*(volumes.create(VolumeRequest("data")) for _ in range(20)))
    assert all(v is made[0] for v in made)
    assert world.seen() == [("create", "data")]


@pytest.mark.parametrize(
    ("request_", "error", "text"),
    [
        (VolumeRequest("a"), failures.VolumeNameTooShort, "create a: volume name is too short, names should be"),
        (VolumeRequest("../x"), failures.InvalidVolumeName, 'create ../x: "../x" includes invalid characters for a'),
        (VolumeRequest(".x"), failures.InvalidVolumeName, "includes invalid characters"),
        (VolumeRequest("x\n"), failures.InvalidVolumeName, "includes invalid characters"),
        (
            VolumeRequest("vx", "bogus"),
            failures.DriverMissing,
            "create vx: error looking up volume plugin bogus",
        ),
        (
            VolumeRequest("vx", options={"bogus": "1"}),
            failures.InvalidVolumeOption,
            'create vx: invalid option: "bogus"',
        ),
        (VolumeRequest("vx", options={"type": "tmpfs"}), failures.MissingVolumeOption, 'required option: "device"'),
        (VolumeRequest("vx", options={"device": "/t"}), failures.MissingVolumeOption, 'required option: "type"'),
        (VolumeRequest("vx", options={"size": "1m"}), failures.QuotaUnsupported, "quota size requested but no quota"),
    ],
)
async def test_impossible_requests_are_refused_in_dockerds_words(world, request_, error, text):
    volumes = await world.volumes()
    with pytest.raises(error, match=text.replace("(", "\\(")):
        await volumes.create(request_)
    assert list(world.root.iterdir()) == []


async def test_a_held_volume_is_not_removed(world):
    volumes = await world.volumes()
    await volumes.create(VolumeRequest("data"))
    await volumes.acquire("data", "c1")
    await volumes.acquire("data", "c2")
    with pytest.raises(failures.VolumeInUse, match=r"^remove data: volume is in use - \[c1, c2\]$"):
        await volumes.remove("data")
    volumes.release("c1")
    volumes.release("c2")
    await volumes.remove("data")
    assert not (world.root / "data").exists()
    assert world.seen()[-1] == ("destroy", "data")
    with pytest.raises(failures.VolumeNotFound, match="^get data: no such volume$"):
        await volumes.remove("data")
    await volumes.remove("data", force=True)


async def test_only_unused_anonymous_volumes_go_with_their_container(world):
    volumes = await world.volumes()
    anonymous = await volumes.create(VolumeRequest("ab" * 32, anonymous=True))
    assert anonymous.labels == {"com.docker.volume.anonymous": ""}
    await volumes.create(VolumeRequest("named"))
    await volumes.acquire(anonymous.name, "c2")
    for name in (anonymous.name, "named", "gone"):
        await volumes.remove_unused(name)
    assert len((await volumes.select({})).volumes) == 2
    volumes.release("c2")
    await volumes.remove_unused(anonymous.name)
    assert [v.name for v in (await volumes.select({})).volumes] == ["named"]


async def test_filters(world):
    volumes = await world.volumes()
    for name, labels in (("one", {"a": "b"}), ("two", None), ("three", {"a": "c"})):
        await volumes.create(VolumeRequest(name, labels=labels))
    await volumes.acquire("two", "c1")

    async def names(**filters):
        return [v.name for v in (await volumes.select(filters)).volumes]

    assert await names() == ["one", "three", "two"]
    assert await names(dangling=["true"]) == ["one", "three"]
    assert await names(dangling=["0"]) == ["two"]
    assert await names(name=["o"]) == ["one", "two"]
    assert await names(name=["^t.*e$"]) == ["three"]
    assert await names(label=["a"]) == ["one", "three"]
    assert await names(label=["a=b"]) == ["one"]
    assert await names(driver=["loc"]) == []
    for bad in ({"bogus": ["1"]}, {"dangling": ["x"]}, {"label!": ["a"]}):
        with pytest.raises(InvalidFilter):
            await volumes.select(bad)


async def test_prune_takes_anonymous_volumes_unless_told_otherwise(world):
    volumes = await world.volumes()
    anonymous = await volumes.create(VolumeRequest())
    named = await volumes.create(VolumeRequest("named"))
    await volumes.create(VolumeRequest("held"))
    await volumes.create(VolumeRequest("remote", options={"type": "nfs", "device": ":/x", "o": "addr=1.2.3.4"}))
    await volumes.acquire("held", "c1")
    Path(anonymous.mountpoint, "x").write_bytes(b"12345")
    Path(named.mountpoint, "x").write_bytes(b"123")
    pruned = await volumes.prune({}, everything=False)
    assert (pruned.names, pruned.reclaimed) == ([anonymous.name], 5)
    with pytest.raises(failures.InvalidAllFilter):
        await volumes.prune({"all": ["x"]}, everything=False)
    pruned = await volumes.prune({"all": ["1"]}, everything=False)
    assert (pruned.names, pruned.reclaimed) == (["named"], 3)
    assert [v.name for v in (await volumes.select({})).volumes] == ["held", "remote"]
    assert world.seen()[-1] == ("prune", "")


async def test_usage_counts_holders_and_bytes(world):
    volumes = await world.volumes()
    volume = await volumes.create(VolumeRequest("data"))
    Path(volume.mountpoint, "x").write_bytes(b"12345")
    await volumes.acquire("data", "c1")
    usage = await volumes.usage()
    assert [(u.volume.name, u.size, u.holders) for u in usage] == [("data", 5, 1)]


async def test_data_without_a_record_is_adopted(world):
    (world.root / "orphan/_data").mkdir(parents=True)
    (world.root / "orphan/_data/x").write_text("precious")
    volumes = await world.volumes()
    assert (await volumes.get("orphan")).labels is None
    await volumes.prune({}, everything=False)
    assert (world.root / "orphan/_data/x").read_text() == "precious"


async def test_a_creation_killed_before_its_record_leaves_nothing(world):
    LocalVolumes(world.root).stage("half")
    volumes = await world.volumes()
    assert (await volumes.select({})).volumes == []
    assert list(world.root.iterdir()) == []


async def test_a_creation_killed_after_its_record_is_finished(world):
    LocalVolumes(world.root).stage("half")
    await world.store.commit(Put(KIND, "half", Volume(name="half", created_at=1, mountpoint="x", labels={"a": "b"})))
    volumes = await world.volumes()
    assert (await volumes.get("half")).labels == {"a": "b"}
    assert os.listdir(world.root) == ["half"]


@pytest.mark.parametrize("recorded", [True, False])
async def test_a_removal_killed_half_way_is_finished(world, recorded):
    volumes = await world.volumes()
    await volumes.create(VolumeRequest("data"))
    (world.root / "data/_data/x").write_text("x")
    LocalVolumes(world.root).discard("data")
    if not recorded:
        volumes = await world.volumes()
        LocalVolumes(world.root).stage("data")
        LocalVolumes(world.root).settle("data")
        LocalVolumes(world.root).discard("data")
    volumes = await world.volumes()
    assert (await volumes.select({})).volumes == []
    assert list(world.root.iterdir()) == []


async def test_a_record_without_data_keeps_its_name(world):
    await world.store.commit(Put(KIND, "lost", Volume(name="lost", created_at=1, labels={"a": "b"})))
    volumes = await world.volumes()
    assert (await volumes.get("lost")).labels == {"a": "b"}
    assert (world.root / "lost/_data").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
async def test_options_are_mounted_for_the_first_user_and_unmounted_after_the_last(world):
    volumes = await world.volumes()
    volume = await volumes.create(VolumeRequest("t1", options={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}))
    assert await volumes.mount("t1", "c1") == volume.mountpoint
    Path(volume.mountpoint, "x").write_text("x")
    await volumes.mount("t1", "c2")
    assert os.path.ismount(volume.mountpoint)
    again = await world.volumes()
    await again.mount("t1", "c1")
    await again.drop_unused_mounts()
    assert Path(volume.mountpoint, "x").exists()
    await volumes.unmount("t1", "c1")
    assert os.path.ismount(volume.mountpoint)
    await volumes.unmount("t1", "c2")
    await volumes.unmount("t1", "c2")
    assert not os.path.ismount(volume.mountpoint)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
async def test_a_failed_mount_says_what_dockerd_says(world):
    volumes = await world.volumes()
    volume = await volumes.create(VolumeRequest("v6", options={"type": "none", "device": "/nope", "o": "bind"}))
    with pytest.raises(failures.VolumeMountFailed) as failed:
        await volumes.mount("v6", "c1")
    where = volume.mountpoint
    assert str(failed.value) == (
        f"error while mounting volume '{where}': failed to mount local volume: mount /nope:{where}, flags: 0x1000: "
        "no such file or directory"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
async def test_a_bind_volume_is_removed_without_what_is_behind_it(world, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "precious").write_text("x")
    volumes = await world.volumes()
    await volumes.create(VolumeRequest("b1", options={"type": "none", "device": str(source), "o": "bind"}))
    await volumes.mount("b1", "c1")
    again = await world.volumes()
    await again.remove("b1")
    assert (source / "precious").exists()
