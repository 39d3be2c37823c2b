"""Names, deletion, prune, holders, load and save over one small world."""

import gzip
import io
import json
import tarfile

import pytest
import pytest_asyncio
import zstandard

from engine.core import digest as digests
from engine.core import references
from engine.core.errors import WharfError
from engine.domain.images.delete import Deleted, DeleteOptions
from engine.domain.images.failures import (
    DeleteConflict,
    DigestAsName,
    ImageNotFound,
    InvalidTag,
    UnrecognizedArchive,
)
from engine.domain.images.images import Hold
from engine.domain.images.selection import Listing
from engine.domain.images.tag import new_name
from engine.tests.domain.images.world import World
from engine.tests.drivers.registry.fake_registry import tar

FORCED = DeleteOptions(force=True)


@pytest_asyncio.fixture
async def world(tmp_path):
    made = World(tmp_path)
    yield made
    await made.close()


def old_archive(files=None, name="x:1", **config):
    """Return what Docker before 25 saved."""
    layer = tar(files or {"a": b"1"})
    settings = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"l": "1"}},
        "rootfs": {"type": "layers", "diff_ids": [digests.of(layer)]},
        **config,
    }
    manifest = [{"Config": "c.json", "RepoTags": [name] if name else None, "Layers": ["l/layer.tar"]}]
    return tar(
        {"c.json": json.dumps(settings).encode(), "l/layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    )


async def loaded(world, name="x:1", files=None):
    await world.load(old_archive(files, name))
    return world.images.id_of(name)


def listed(world, **filters):
    return [s.stored.target.digest for s in world.lister.list(Listing(filters))]


async def test_old_archives_load_and_are_saved_byte_for_byte(world):
    image = await loaded(world)
    assert world.lines[-1].stream == "Loaded image: x:1\n"
    saved = await world.save("x:1")
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        names = archive.getnames()
        manifest = json.load(archive.extractfile("manifest.json"))
        for name in names:
            if name.startswith("blobs/sha256/") and archive.getmember(name).isfile():
                assert digests.of(archive.extractfile(name).read()) == f"sha256:{name[13:]}"
    assert manifest[0]["RepoTags"] == ["x:1"]
    await world.deleter.delete("x:1")
    assert world.files() == []
    for archive in (saved, gzip.compress(saved), zstandard.compress(saved)):
        await world.load(archive)
        assert world.images.id_of("x:1") == image
        await world.deleter.delete(image, FORCED)
    assert world.files() == []


async def test_save_by_id_has_no_name(world):
    image = await loaded(world)
    saved = await world.save(image)
    await world.deleter.delete("x:1")
    await world.load(saved)
    assert world.lines[-1].stream == f"Loaded image ID: {image}\n"
    assert world.images.id_of("x:1") is None
    assert listed(world, dangling=["true"]) == [image]


@pytest.mark.parametrize(
    ("archive", "error"),
    [
        (b"nonsense", WharfError),
        (b"", UnrecognizedArchive),
        (old_archive()[:1500], WharfError),
        (tar({"hello": b"1"}), UnrecognizedArchive),
        (tar({"manifest.json": b'[{"Config":"nope","Layers":[]}]'}), WharfError),
        (tar({"manifest.json": b"{"}), UnrecognizedArchive),
        (gzip.compress(old_archive())[:-200], WharfError),
    ],
)
async def test_bad_archives_leave_nothing(world, archive, error):
    with pytest.raises(error):
        await world.load(archive)
    assert world.catalog.images() == []
    await world.garbage.collect_all()
    assert [f for f in world.files() if f.startswith("new-")] == []


async def test_names_find_images(world):
    image = await loaded(world)
    short = image[7:19]
    by_name = ["x:1", "docker.io/library/x:1", f"x@{image}", f"x:9@{image}"]
    for text in [*by_name, image, image[7:], short, f"sha256:{short}"]:
        assert world.images.id_of(text) == image
    for text in ("x", "y:1", f"y@{image}", "sha256:ff", "sha256:" + "f" * 64, short[:3]):
        assert world.images.id_of(text) is None
    with pytest.raises(ImageNotFound, match=r"^No such image: x:latest$"):
        world.images.resolve("x")
    with pytest.raises(ImageNotFound, match=r"^No such image: nope:2$"):
        world.images.resolve("nope:2")


async def test_platforms_of_what_is_here(world):
    await loaded(world)
    world.images.resolve("x:1", "linux/amd64")
    text = r"^image with reference x:1 was found but does not provide the specified platform \(linux/s390x\)$"
    with pytest.raises(WharfError, match=text):
        world.images.resolve("x:1", "linux/s390x")


async def test_a_name_goes_while_others_remain(world):
    image = await loaded(world)
    await world.tagger.tag("x:1", references.parse("y:2"))
    world.images.acquire("c" * 64, Hold(image))
    assert await world.deleter.delete("x:1") == [Deleted(untagged="x:1")]
    with pytest.raises(DeleteConflict) as error:
        await world.deleter.delete("y:2")
    assert str(error.value) == (
        f"conflict: unable to delete y:2 (must be forced) - container {'c' * 12} is using its referenced image "
        f"{image[7:19]}"
    )
    assert await world.deleter.delete("y:2", FORCED) == [Deleted(untagged="y:2")]
    assert listed(world) == [image]


async def test_by_id_conflicts(world):
    image = await loaded(world)
    short = image[7:19]
    await world.tagger.tag("x:1", references.parse("x:2"))
    with pytest.raises(DeleteConflict, match="image is referenced in multiple repositories"):
        await world.deleter.delete(short)
    world.images.acquire("c" * 64, Hold(image))
    world.running.add("c" * 64)
    with pytest.raises(DeleteConflict, match=r"\(cannot be forced\) - image is being used by running container cccc"):
        await world.deleter.delete(short, FORCED)
    world.running.clear()
    await world.deleter.delete("x:2")
    with pytest.raises(DeleteConflict, match=r"\(must be forced\) - image is being used by stopped container cccc"):
        await world.deleter.delete(short)
    assert await world.deleter.delete(short, FORCED) == [Deleted(untagged="x:1"), Deleted(deleted=image)]


async def test_a_container_keeps_the_layers_of_a_deleted_image(world, tmp_path):
    image = await loaded(world)
    layers = await world.images.unpacked(world.images.resolve("x:1"))
    world.images.acquire("c1", Hold(image))
    await world.deleter.delete(image, FORCED)
    assert world.images.id_of(image) is None
    assert world.layers.has(layers[0])
    assert not world.content.all()
    # The same after a restart, and whatever becomes of the record.
    again = World(tmp_path)
    again.images.acquire("c1", Hold(image, layers=layers))
    await again.images.restored()
    assert again.layers.has(layers[0])
    again.images.release(image, "c1")
    await again.close()
    assert not again.layers.all()
    assert not again.catalog.everything()


async def test_a_deleted_image_can_come_again(world):
    image = await loaded(world)
    world.images.acquire("c1", Hold(image))
    await world.deleter.delete(image, FORCED)
    assert await loaded(world) == image
    world.images.release(image, "c1")
    await world.images.close()
    assert world.images.id_of("x:1") == image
    assert await world.save("x:1")


async def test_shared_layers_stay_while_needed(world):
    await loaded(world, "x:1", {"a": b"1"})
    await world.load(old_archive({"a": b"1"}, "y:1", author="other"))
    layers = world.layers.all()
    await world.deleter.delete("x:1")
    assert world.layers.all() == layers
    await world.deleter.delete("y:1")
    assert world.files() == []


async def test_prune(world):
    used, dangling = await loaded(world, "x:1", {"a": b"1"}), await loaded(world, "", {"a": b"2"})
    dangling = next(i for i in listed(world) if i != used)
    named = await loaded(world, "y:1", {"a": b"3"})
    world.images.acquire("c1", Hold(used))
    pruned = await world.pruner.prune({})
    assert pruned.deleted == [Deleted(untagged=dangling), Deleted(deleted=dangling)]
    assert pruned.reclaimed > 0
    assert (await world.pruner.prune({"dangling": ["false"], "until": ["1h"]})).deleted == []
    assert (await world.pruner.prune({"dangling": ["false"], "label": ["nope"]})).deleted == []
    assert (await world.pruner.prune({"dangling": ["false"], "label!": ["l=1"]})).deleted == []
    pruned = await world.pruner.prune({"dangling": ["0"]})
    assert [d.deleted for d in pruned.deleted if d.deleted] == [named]
    assert listed(world) == [used]
    with pytest.raises(WharfError, match="invalid filter 'bogus'"):
        await world.pruner.prune({"bogus": ["1"]})


async def test_filters_of_the_list(world):
    one = await loaded(world, "x:1", {"a": b"1"})
    two = await loaded(world, "host:5000/lib/y:2", {"a": b"2"})
    assert set(listed(world)) == {one, two}
    assert listed(world, reference=["x"]) == [one]
    assert listed(world, reference=["host:5000/*/y:2"]) == [two]
    assert listed(world, reference=["*"]) == [one]
    assert listed(world, reference=["docker.io/library/x"]) == [one]
    assert listed(world, label=["l=2"]) == []
    assert set(listed(world, label=["l"])) == {one, two}
    with pytest.raises(ImageNotFound):
        listed(world, before=["nope"])


async def test_new_names():
    assert new_name("x", "").familiar == "x:latest"
    assert new_name("host:5000/x:1", "2").familiar == "host:5000/x:2"
    assert new_name("", "1") is None
    with pytest.raises(InvalidTag):
        new_name("x", "a!")
    with pytest.raises(DigestAsName):
        new_name("x@sha256:" + "0" * 64, "")


async def test_everything_survives_a_restart(world, tmp_path):
    image = await loaded(world)
    await world.tagger.tag("x:1", references.parse("y:2"))
    again = World(tmp_path)
    await again.images.restored()
    assert again.images.id_of("y:2") == again.images.id_of("x:1") == image
    assert again.images.resolve("y:2") == world.images.resolve("y:2")
    await again.close()


async def test_what_a_killed_daemon_left_goes(world, tmp_path):
    image = await loaded(world)
    (tmp_path / "content/blobs/sha256" / ("e" * 64)).write_bytes(b"orphan")
    (tmp_path / "content/ingest/new-1").write_bytes(b"half")
    world.layers.commit("sha256:" + "d" * 64, world.layers.begin("sha256:" + "d" * 64), 1)
    before = sorted(world.content.all())
    again = World(tmp_path)
    await again.images.restored()
    assert sorted(again.content.all()) == before
    assert "sha256:" + "d" * 64 not in again.layers.all()
    assert not list((tmp_path / "content/ingest").iterdir())
    assert again.images.id_of(image) == image
    await again.close()
