"""Nothing is lost or reordered between memory and files, whatever the pace of the reader."""

import random
from pathlib import Path

import pytest

from engine.drivers.runtime.spool import Chunk, Spool, SpoolFull


async def _take(spool: Spool) -> Chunk | None:
    while not spool.empty:
        if chunk := spool.take():
            return chunk
        await spool.fetch()
    return None


async def test_memory_only(tmp_path: Path) -> None:
    spool = Spool(tmp_path, bound=10)
    spool.put((1, b"abc"))
    spool.put((2, b"def"))
    assert not spool.full
    assert [await _take(spool) for _ in range(3)] == [(1, b"abc"), (2, b"def"), None]


@pytest.mark.parametrize("seed", range(5))
async def test_order_across_files(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    spool = Spool(tmp_path, bound=64)
    put: list[Chunk] = []
    taken: list[Chunk] = []
    for number in range(500):
        chunk = (chance.choice((1, 2)), b"%d," % number)
        put.append(chunk)
        spool.put(chunk)
        if spool.full:
            await spool.spill()
        if chance.random() < 0.6 and (got := await _take(spool)):
            taken.append(got)
    while got := await _take(spool):
        taken.append(got)
    assert taken == put
    assert not list(tmp_path.iterdir())
    spool.close()


async def test_memory_again_after_catching_up(tmp_path: Path) -> None:
    spool = Spool(tmp_path, bound=4)
    spool.put((1, b"aaaa"))
    await spool.spill()
    assert spool.spilling
    spool.put((1, b"bbbb"))
    await spool.spill()
    assert [await _take(spool), await _take(spool)] == [(1, b"aaaa"), (1, b"bbbb")]
    spool.put((1, b"c"))
    assert await _take(spool) == (1, b"c")
    await spool.fetch()
    assert not spool.spilling
    spool.close()


async def test_cap(tmp_path: Path) -> None:
    spool = Spool(tmp_path, bound=4, cap=8)
    with pytest.raises(SpoolFull):
        for _ in range(10):
            spool.put((1, b"aaaa"))
            await spool.spill()
    spool.close()
