"""Pull against a registry that misbehaves."""

import asyncio
import json
import os

import pytest
import pytest_asyncio

from engine.core import digest as digests
from engine.core.errors import WharfError
from engine.domain.images import downloads
from engine.domain.images.failures import (
    ExtractFailed,
    LayerMismatch,
    MalformedImage,
    NoMatchingManifest,
    ResolveFailed,
    ResolveNotFound,
)
from engine.domain.images.garbage import Needs
from engine.domain.images.progress import Note
from engine.domain.images.selection import Listing
from engine.drivers.registry.credentials import Credentials
from engine.drivers.registry.failures import ContentNotFound
from engine.drivers.registry.settings import RegistrySettings
from engine.drivers.storage.ingest import DigestMismatch
from engine.tests.domain.images.world import World
from engine.tests.drivers.registry.fake_registry import CONFIG, INDEX, LAYER, MANIFEST, FakeRegistry

NOISE = os.urandom(300_000)


@pytest_asyncio.fixture
async def registry():
    fake = await FakeRegistry().start()
    yield fake
    await fake.stop()


@pytest_asyncio.fixture
async def world(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_FIRST_PAUSE", 0.01)
    made = World(tmp_path)
    yield made
    await made.close()


def statuses(world):
    return [line.status for line in world.lines]


async def test_pulls_and_unpacks(registry, world):
    digest = registry.image("lib/x:1", [{"a": NOISE}, {"b": b"2"}])
    await world.pull(f"{registry.host}/lib/x:1")
    image = world.images.resolve(f"{registry.host}/lib/x:1")
    assert image.id == digest
    assert image.config.cmd == ["sh"]
    chains = await world.images.unpacked(image)
    assert (world.layers.path(chains[0]) / "a").read_bytes() == NOISE
    assert world.lines[0] == Note("Pulling from lib/x", "1")
    assert statuses(world)[-2:] == [
        f"Digest: {digest}",
        f"Status: Downloaded newer image for {registry.host}/lib/x:1",
    ]
    world.lines.clear()
    await world.pull(f"{registry.host}/lib/x:1")
    assert len(world.lines) == 3
    assert "up to date" in world.lines[-1].status


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_broken_connection_is_taken_up(registry, world, ranges):
    registry.image("x:1", [{"a": NOISE}])
    registry.ranges, registry.breaks, registry.break_after = ranges, 3, 70_000
    await world.pull(f"{registry.host}/x:1")
    asked = [h.get("Range") for m, p, h in registry.requests if "/blobs/" in p and m == "GET"]
    assert "bytes=70000-" in asked
    assert world.images.id_of(f"{registry.host}/x:1")


async def test_a_registry_that_stops_half_way_leaves_only_what_can_be_resumed(registry, world):
    registry.image("x:1", [{"small": b"1"}, {"a": NOISE}])
    registry.ranges, registry.breaks, registry.break_after = False, 99, 70_000
    with pytest.raises(WharfError, match="failed to copy"):
        await world.pull(f"{registry.host}/x:1")
    assert world.images.id_of(f"{registry.host}/x:1") is None
    assert world.lister.list(Listing()) == []
    registry.breaks = 0
    await world.pull(f"{registry.host}/x:1")
    assert world.images.id_of(f"{registry.host}/x:1")


async def test_what_a_broken_pull_has_fetched_goes_when_its_time_is_over(registry, world):
    registry.image("x:1", [{"small": b"1"}, {"a": NOISE}])
    lost = next(d for d, b in registry.blobs.items() if len(b) > 100_000)
    del registry.blobs[lost]
    with pytest.raises(ContentNotFound):
        await world.pull(f"{registry.host}/x:1")
    assert world.files()
    needs = Needs(set(registry.blobs) | {lost} | set(_digests(registry)), set(world.layers.all()))
    await world.garbage.collect(needs)
    assert world.files() == []


def _digests(registry):
    return [digests.of(data) for _, data in registry.manifests.values()]


async def test_a_lying_blob_is_refused(registry, world):
    registry.image("x:1", [{"a": NOISE}])
    big = next(d for d, b in registry.blobs.items() if len(b) > 100_000)
    registry.blobs[big] = b"x" * len(registry.blobs[big])
    with pytest.raises(DigestMismatch):
        await world.pull(f"{registry.host}/x:1")
    registry.blobs[big] = b"x" * 10_000_000
    with pytest.raises(MalformedImage, match="larger"):
        await world.pull(f"{registry.host}/x:1")
    assert world.images.id_of(f"{registry.host}/x:1") is None


async def test_a_wrong_diff_id_is_refused(registry, world):
    registry.image("x:1", [{"a": b"1"}], rootfs={"type": "layers", "diff_ids": ["sha256:" + "0" * 64]})
    with pytest.raises(LayerMismatch):
        await world.pull(f"{registry.host}/x:1")
    assert not world.layers.all()
    assert not any(".new-" in name for name in world.files())


async def test_a_layer_that_is_no_archive_is_refused(registry, world):
    registry.image("x:1", [{"a": b"1"}])
    data = registry.manifests["x:1"][1]
    junk = registry.blob(b"\0" * 100)
    document = json.loads(data)
    document["layers"] = [{"mediaType": LAYER, **junk}]
    registry.manifest("x:2", document, MANIFEST)
    with pytest.raises((ExtractFailed, LayerMismatch, Exception)):
        await world.pull(f"{registry.host}/x:2")
    assert world.images.id_of(f"{registry.host}/x:2") is None


async def test_two_pulls_share_the_work(registry, world):
    registry.image("x:1", [{"a": NOISE}, {"b": NOISE + b"1"}])
    registry.gate = asyncio.Event()
    first = asyncio.ensure_future(world.pull(f"{registry.host}/x:1"))
    second = asyncio.ensure_future(world.pull(f"{registry.host}/x:1"))
    await asyncio.sleep(0.05)
    registry.gate.set()
    await asyncio.gather(first, second)
    layers = [d for d, b in registry.blobs.items() if len(b) > 100_000]
    assert [registry.gets[d] for d in layers] == [1, 1]
    assert world.extractor.count == 2


async def test_one_of_two_leaves_and_the_other_gets_all(registry, world):
    registry.image("x:1", [{"a": NOISE}])
    registry.gate = asyncio.Event()
    leaving = asyncio.ensure_future(world.pull(f"{registry.host}/x:1"))
    staying = asyncio.ensure_future(world.pull(f"{registry.host}/x:1"))
    while not any("/blobs/" in p for _, p, _ in registry.requests):
        await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    registry.gate.set()
    await staying
    assert world.images.id_of(f"{registry.host}/x:1")


async def test_everybody_leaves_and_nothing_goes_on(registry, world):
    registry.image("x:1", [{"a": NOISE}])
    registry.gate = asyncio.Event()
    pull = asyncio.ensure_future(world.pull(f"{registry.host}/x:1"))
    while not any("/blobs/" in p for _, p, _ in registry.requests):
        await asyncio.sleep(0.01)
    pull.cancel()
    await asyncio.gather(pull, return_exceptions=True)
    assert not any("fetch-" in t.get_name() for t in asyncio.all_tasks())
    registry.gate.set()
    await world.pull(f"{registry.host}/x:1")


async def test_a_client_that_is_gone_ends_its_pull(registry, world):
    registry.image("x:1", [{"a": NOISE}])

    async def gone(line):
        raise ConnectionResetError

    world.sink = gone
    with pytest.raises(ConnectionResetError):
        await world.pull(f"{registry.host}/x:1")
    assert world.images.id_of(f"{registry.host}/x:1") is None


async def test_texts_of_what_does_not_exist(registry, world):
    registry.image("x:1", [{"a": b"1"}])
    with pytest.raises(ResolveNotFound) as error:
        await world.pull(f"{registry.host}/x:2")
    name = f"{registry.host}/x:2"
    assert str(error.value) == f'failed to resolve reference "{name}": {name}: not found'
    with pytest.raises(ResolveFailed) as failed:
        await world.pull("127.0.0.1:1/x:1")
    assert 'failed to do request: Head "https://127.0.0.1:1/v2/x/manifests/1": dial tcp' in str(failed.value)


async def test_platforms(registry, world):
    one = registry.image("m:amd", [{"a": b"1"}])
    two = registry.image("m:arm", [{"a": b"2"}], architecture="arm64", variant="v8")
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": two,
            "size": len(registry.manifests["m:arm"][1]),
            "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
        },
        {
            "mediaType": MANIFEST,
            "digest": one,
            "size": len(registry.manifests["m:amd"][1]),
            "platform": {"os": "linux", "architecture": "amd64"},
        },
        {
            "mediaType": MANIFEST,
            "digest": "sha256:" + "1" * 64,
            "size": 5,
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        },
    ]
    index = registry.manifest("m:1", {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, INDEX)
    name = f"{registry.host}/m:1"
    await world.pull(name, platform="linux/amd64")
    assert world.images.resolve(name).manifest.digest == one
    with pytest.raises(WharfError, match="does not provide the specified platform"):
        world.images.resolve(name, "linux/arm64")
    await world.pull(name, platform="linux/arm64")
    assert world.images.resolve(name, "linux/arm64").manifest.digest == two
    assert world.images.resolve(name, "linux/amd64").id == index
    with pytest.raises(NoMatchingManifest, match="no matching manifest for linux/s390x"):
        await world.pull(name, platform="linux/s390x")


async def test_documents_that_are_two_things_at_once_are_refused(registry, world):
    registry.image("x:1", [{"a": b"1"}])
    document = json.loads(registry.manifests["x:1"][1])
    registry.manifest("x:2", {**document, "manifests": []}, MANIFEST)
    registry.manifest("x:3", document, INDEX)
    chart = [{**document["layers"][0], "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip"}]
    registry.manifest("x:4", {**document, "layers": chart}, MANIFEST)
    registry.manifest(
        "x:5", {**document, "layers": [{"mediaType": LAYER, "digest": "sha256:../../etc", "size": 1}]}, MANIFEST
    )
    registry.manifest("x:6", {**document, "config": {"mediaType": CONFIG, "digest": "md5:12", "size": 1}}, MANIFEST)
    for tag in "23456":
        with pytest.raises(MalformedImage):
            await world.pull(f"{registry.host}/x:{tag}")


async def test_all_tags(registry, world):
    registry.image("x:1", [{"a": b"1"}])
    registry.image("x:2", [{"a": b"2"}])
    await world.pull(f"{registry.host}/x")
    assert len(world.catalog.names()) == 2


async def test_by_digest(registry, world):
    digest = registry.image("x:1", [{"a": b"1"}])
    await world.pull(f"{registry.host}/x:1@{digest}")
    name = f"{registry.host}/x@{digest}"
    assert world.images.resolve(name).id == digest
    assert world.lister.list(Listing())[0].tags == []


async def test_a_token_is_fetched_once_and_with_the_user(registry, world):
    registry.image("x:1", [{"a": b"1"}, {"b": b"2"}, {"c": b"3"}])
    registry.token, registry.user = "secret", "u:p"
    with pytest.raises(ResolveFailed, match="pull access denied"):
        await world.pull(f"{registry.host}/x:1")
    registry.requests.clear()
    await world.pull(f"{registry.host}/x:1", Credentials("u", "p"))
    tokens = [p for _, p, _ in registry.requests if p.startswith("/token")]
    assert len(tokens) == 1
    assert "scope=repository%3Ax%3Apull" in tokens[0]
    assert "service=svc" in tokens[0]


async def test_an_identity_token_is_exchanged(registry, world):
    registry.image("x:1", [{"a": b"1"}])
    registry.token, registry.user = "secret", "u:p"
    await world.pull(f"{registry.host}/x:1", Credentials(identity_token="refresh"))
    assert any(m == "POST" and p == "/token" for m, p, _ in registry.requests)


async def test_credentials_do_not_follow_a_redirect(registry, world):
    other = await FakeRegistry().start()
    registry.image("x:1", [{"a": b"1"}])
    other.blobs = registry.blobs
    registry.user, registry.redirect_blobs = "u:p", f"http://{other.host}"
    await world.pull(f"{registry.host}/x:1", Credentials("u", "p"))
    assert other.requests
    assert not any("Authorization" in headers for _, _, headers in other.requests)
    await other.stop()


async def test_a_mirror_is_asked_first_without_credentials_and_may_fail(registry, tmp_path):
    mirror = await FakeRegistry().start()
    registry.image("x:1", [{"a": b"1"}])
    registry.user = "u:p"
    settings = RegistrySettings(mirrors={registry.host: [f"http://{mirror.host}"]})
    world = World(tmp_path, settings)
    await world.pull(f"{registry.host}/x:1", Credentials("u", "p"))
    assert mirror.requests
    assert not any("Authorization" in headers for _, _, headers in mirror.requests)
    registry.requests.clear()
    mirror.image("x:2", [{"a": b"2"}])
    await world.pull(f"{registry.host}/x:2", Credentials("u", "p"))
    assert not registry.requests
    await world.close()
    await mirror.stop()


async def test_a_busy_registry_is_asked_again(registry, world):
    registry.image("x:1", [{"a": b"1"}])
    registry.busy = 2
    await world.pull(f"{registry.host}/x:1")
    assert world.images.id_of(f"{registry.host}/x:1")


async def test_a_moved_tag_leaves_the_old_image_without_a_name(registry, world):
    old = registry.image("x:1", [{"a": b"1"}])
    await world.pull(f"{registry.host}/x:1")
    new = registry.image("x:1", [{"a": b"2"}])
    await world.pull(f"{registry.host}/x:1")
    assert world.images.id_of(f"{registry.host}/x:1") == new
    assert world.images.id_of(old) == old
    assert world.catalog.names_of(old) == []
