"""The content store: resuming, verifying, reading."""

import asyncio

import pytest

from engine.core import digest as digests
from engine.drivers.storage.content import BlobCorrupt, BlobMissing, ContentStore, UnsupportedDigest
from engine.drivers.storage.ingest import DigestMismatch, SizeMismatch

DATA = bytes(range(256)) * 9000


@pytest.fixture
def content(tmp_path):
    store = ContentStore(tmp_path)
    store.open()
    return store


async def test_a_blob_goes_on_where_it_ended(content):
    digest = digests.of(DATA)
    async with content.ingest(digest, len(DATA)) as ingest:
        await ingest.write(DATA[:1_500_000])
    assert not content.has(digest)
    async with content.ingest(digest, len(DATA)) as ingest:
        assert ingest.offset == 1_500_000
        await ingest.write(DATA[1_500_000:])
        assert await content.commit(ingest) == digest
    assert content.path(digest).read_bytes() == DATA
    assert content.size(digest) == len(DATA)
    assert not list((content.path(digest).parents[2] / "ingest").iterdir())


async def test_what_is_wrong_is_not_committed_and_not_resumed(content):
    digest = digests.of(DATA)
    async with content.ingest(digest, len(DATA)) as ingest:
        await ingest.write(DATA[:-1] + b"x")
        with pytest.raises(DigestMismatch):
            await content.commit(ingest)
    async with content.ingest(digest, len(DATA)) as ingest:
        assert ingest.offset == 0
        await ingest.write(DATA[:-1])
        with pytest.raises(SizeMismatch):
            await content.commit(ingest)
    assert content.all() == []


async def test_a_partial_blob_that_is_too_long_is_begun_anew(content):
    digest = digests.of(DATA)
    async with content.ingest(digest, len(DATA)) as ingest:
        await ingest.write(DATA)
    async with content.ingest(digest, 10) as ingest:
        assert ingest.offset == 0


async def test_unknown_digests_are_found_and_leftovers_dropped(content, tmp_path):
    async with content.ingest_unknown() as ingest:
        await ingest.write(DATA)
        assert await content.commit(ingest) == digests.of(DATA)
    async with content.ingest_unknown() as ingest:
        await ingest.write(DATA)
    assert not list((tmp_path / "ingest").iterdir())


async def test_small_blobs_are_verified_when_read(content):
    digest = await content.put(b"{}")
    assert await content.read(digest) == b"{}"
    content.path(digest).write_bytes(b"[]")
    with pytest.raises(BlobCorrupt):
        await content.read(digest)
    with pytest.raises(BlobMissing):
        await content.read("sha256:" + "0" * 64)
    with pytest.raises(DigestMismatch):
        await content.put(b"{ }", digest)


async def test_a_cancelled_writer_can_be_followed(content):
    digest = digests.of(DATA)

    async def write():
        async with content.ingest(digest, len(DATA)) as ingest:
            await ingest.write(DATA[:1_100_000])
            await asyncio.sleep(60)

    task = asyncio.ensure_future(write())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with content.ingest(digest, len(DATA)) as ingest:
        assert ingest.offset == 1_100_000


@pytest.mark.parametrize("digest", ["sha512:" + "0" * 128, "sha256:../../../etc/passwd", "sha256:" + "0" * 63, "x"])
def test_only_sane_digests_become_paths(content, digest):
    with pytest.raises(UnsupportedDigest):
        content.path(digest)


async def test_a_restart_knows_whole_blobs_only(content, tmp_path):
    digest = await content.put(b"1")
    async with content.ingest(digests.of(DATA), len(DATA)) as ingest:
        await ingest.write(DATA[:100])
    again = ContentStore(tmp_path)
    again.open()
    assert again.all() == [digest]
    assert await again.remove([digest, "sha256:" + "0" * 64]) == 1
    assert again.all() == []
