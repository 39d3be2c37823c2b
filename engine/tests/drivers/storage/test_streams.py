"""Tar archives and compressed streams, read and written as they come."""

import bz2
import gzip
import io
import lzma
import tarfile

import pytest
import zstandard

from engine.drivers.storage import tar_stream
from engine.drivers.storage.inflate import DecompressionFailed, Inflater, decompressed
from engine.drivers.storage.tar_stream import ArchiveBroken, Bytes, TarReader

LONG = "d/" * 90 + "file"


async def chunked(data, size=700):
    for i in range(0, len(data), size):
        yield data[i : i + size]


def archive(form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as made:
        for name, data in (("a", b"1" * 1000), (LONG, b"2" * 513), ("ü", b"")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("l")
        link.type, link.linkname = tarfile.SYMTYPE, LONG
        made.addfile(link)
    return out.getvalue()


async def members(data):
    reader = TarReader(Bytes(chunked(data)))
    found = []
    while (member := await reader.next()) is not None:
        content = b"".join([c async for c in reader.content()]) if member.name != "a" else b"skipped"
        found.append((member.name, member.kind, content, member.target))
    return found


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
async def test_reads_what_tarfile_writes(form):
    assert await members(archive(form)) == [
        ("a", "file", b"skipped", ""),
        (LONG, "file", b"2" * 513, ""),
        ("ü", "file", b"", ""),
        ("l", "link", b"", LONG),
    ]


async def test_tarfile_reads_what_is_written():
    big = 9 << 30
    data = tar_stream.header("d/", 0, 0o755, directory=True) + tar_stream.header("f", 3, 0o444) + b"123"
    data += tar_stream.padding(3) + tar_stream.end()
    with tarfile.open(fileobj=io.BytesIO(data)) as read:
        assert [(m.name, m.mode, m.isdir()) for m in read] == [("d", 0o755, True), ("f", 0o444, False)]
        assert read.extractfile("f").read() == b"123"
    assert tarfile.TarInfo.frombuf(tar_stream.header("f", big, 0o444), "utf-8", "strict").size == big


@pytest.mark.parametrize("cut", [1512, 1530, 1536])
async def test_the_last_block_need_not_be_full(cut):
    assert await members(archive(tarfile.GNU_FORMAT)[:cut]) == [("a", "file", b"skipped", "")]


@pytest.mark.parametrize("cut", [100, 600, 1100, 1511, 1600])
async def test_truncated_archives(cut):
    with pytest.raises(ArchiveBroken, match="unexpected EOF"):
        await members(archive(tarfile.GNU_FORMAT)[:cut])


async def test_damaged_headers():
    data = bytearray(archive(tarfile.GNU_FORMAT))
    data[0] ^= 1
    with pytest.raises(ArchiveBroken, match="invalid tar header"):
        await members(bytes(data))
    huge = bytearray(tar_stream.header("f", 0, 0))
    huge[124:136] = b"\xff" * 12
    total = sum(huge[:148]) + 8 * 32 + sum(huge[156:])
    huge[148:156] = f"{total:06o}\0 ".encode()
    with pytest.raises(ArchiveBroken):
        await members(bytes(huge))


@pytest.mark.parametrize(
    "pack",
    [
        lambda d: d,
        gzip.compress,
        zstandard.compress,
        bz2.compress,
        lzma.compress,
        lambda d: gzip.compress(d[:50_000]) + gzip.compress(d[50_000:]),
        lambda d: zstandard.compress(d[:50_000]) + zstandard.compress(d[50_000:]),
    ],
)
async def test_inflates(pack):
    data = bytes(range(256)) * 1000
    assert b"".join([p async for p in decompressed(chunked(pack(data)))]) == data


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bz2.compress, lzma.compress])
async def test_truncated_streams(pack):
    packed = pack(bytes(range(256)) * 1000)
    with pytest.raises(DecompressionFailed):
        [p async for p in decompressed(chunked(packed[:-10]))]


async def test_damaged_streams():
    packed = bytearray(gzip.compress(bytes(range(256)) * 1000))
    packed[200:300] = b"\xff" * 100
    with pytest.raises(DecompressionFailed):
        [p async for p in decompressed(chunked(bytes(packed)))]


@pytest.mark.parametrize(("kind", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_a_bomb_comes_in_pieces(kind, pack):
    bomb = pack(bytes(300 << 20))
    inflater = Inflater(kind)
    pieces = [len(inflater.feed(bomb))]
    while inflater.waiting:
        pieces.append(len(inflater.feed(b"")))
    assert sum(pieces) == 300 << 20
    assert max(pieces) <= 140 << 20
