"""Reading logs: several files, tails, following through rotation and truncation, the end."""

import asyncio
import random

import pytest

from engine.core import times
from engine.drivers.logs.options import LogOptions
from engine.drivers.logs.reader import read
from engine.tests.drivers.logs.test_parse import BASE, record

WAIT = 5


@pytest.fixture
def log(tmp_path):
    return tmp_path / "c.log"


async def text(path, ended=None, **options):
    return b"".join([c.data async for c in read(path, LogOptions(**options), ended)]).decode()


def lines(first, last):
    return "".join(f"{i}\n" for i in range(first, last))


def write(path, first, last):
    with path.open("ab") as file:
        file.write(b"".join(record(str(i), at=i) for i in range(first, last)))


async def test_a_log_that_is_not_there_is_empty(log):
    assert await text(log) == ""
    assert await text(log.parent / "no" / "such", tail=3) == ""


async def test_rotated_files_are_one_log(log):
    for name, first in ((".10", 0), (".9", 10), (".2", 20), (".1", 30), ("", 40)):
        write(log.with_name(log.name + name), first, first + 10)
    (log.parent / "c.log.tmp").write_text("x")
    (log.parent / "c.log.1x").write_text("x")
    assert await text(log) == lines(0, 50)
    for tail in (0, 1, 9, 10, 11, 25, 49, 50, 51, 1000):
        assert await text(log, tail=tail) == lines(max(0, 50 - tail), 50)


async def test_a_file_with_two_names_is_read_once(log):
    write(log, 0, 10)
    log.with_name("c.log.1").hardlink_to(log)
    assert await text(log) == lines(0, 10)
    assert await text(log, tail=15) == lines(0, 10)


async def test_tail_of_a_long_log(log):
    write(log, 0, 30_000)
    for tail in (1, 10, 5000, 29_999, 30_000):
        assert await text(log, tail=tail) == lines(30_000 - tail, 30_000)


async def test_an_unfinished_line_counts_as_one(log):
    log.write_bytes(record("one") + record("two") + record("th", flag="P") + record("ree", flag="P"))
    assert await text(log, tail=1) == "three"
    assert await text(log, tail=2) == "two\nthree"
    assert await text(log, tail=0) == ""


async def test_a_long_line_is_taken_whole(log):
    log.write_bytes(record("one") + record("t" * 8000, flag="P") + record("wo") + record("three"))
    assert await text(log, tail=2) == "t" * 8000 + "wo\nthree\n"


@pytest.mark.parametrize("seed", range(20))
async def test_any_tail_of_any_log(log, seed):
    chance = random.Random(seed)
    parts = [(chance.choice("FFP"), "x" * chance.choice([0, 3, 9000])) for _ in range(chance.randrange(1, 60))]
    cut = chance.randrange(len(parts))
    encoded = [record(t, flag=f) for f, t in parts]
    log.with_name("c.log.1").write_bytes(b"".join(encoded[:cut]))
    log.write_bytes(b"".join(encoded[cut:]) + b"2026-11-24T20:12")
    whole = "".join(t + ("\n" if f == "F" else "") for f, t in parts)
    split = whole.splitlines(keepends=True)
    if parts[-1] == ("P", ""):
        split += [""] if whole.endswith("\n") or not whole else []
    for tail in range(len(split) + 2):
        assert await text(log, tail=tail) == "".join(split[-tail:] if tail else [])


async def test_following_ends_behind_the_last_byte(log):
    write(log, 0, 5)
    ended = asyncio.Event()
    reading = asyncio.create_task(text(log, ended, follow=True))
    await asyncio.sleep(0.05)
    write(log, 5, 1000)
    ended.set()
    assert await asyncio.wait_for(reading, WAIT) == lines(0, 1000)


async def test_following_delivers_soon_and_from_the_tail(log):
    write(log, 0, 5)
    chunks = read(log, LogOptions(follow=True, tail=2), asyncio.Event())
    assert (await asyncio.wait_for(anext(chunks), WAIT)).data == b"3\n4\n"
    write(log, 5, 6)
    assert (await asyncio.wait_for(anext(chunks), WAIT)).data == b"5\n"
    await chunks.aclose()


async def test_following_waits_for_a_log_to_appear(log):
    ended = asyncio.Event()
    reading = asyncio.create_task(text(log, ended, follow=True))
    await asyncio.sleep(0.05)
    write(log, 0, 3)
    await asyncio.sleep(0.1)
    ended.set()
    assert await asyncio.wait_for(reading, WAIT) == lines(0, 3)


async def test_following_goes_through_rotations_and_truncation(log):
    write(log, 0, 10)
    ended = asyncio.Event()
    reading = asyncio.create_task(text(log, ended, follow=True))
    await asyncio.sleep(0.05)
    position = 10
    for number in range(1, 5):
        write(log, position, position + 7)
        for old in range(number - 1, 0, -1):
            log.with_name(f"c.log.{old}").rename(log.with_name(f"c.log.{old + 1}"))
        log.with_name("c.log.1").hardlink_to(log)
        fresh = log.with_name("c.log.tmp")
        write(fresh, position + 7, position + 10)
        fresh.rename(log)
        position += 10
        await asyncio.sleep(0.03)
    await asyncio.sleep(0.1)
    log.write_bytes(b"")
    await asyncio.sleep(0.1)
    write(log, position, position + 5)
    ended.set()
    assert await asyncio.wait_for(reading, WAIT) == lines(0, position + 5)


async def test_following_until_a_time(log):
    write(log, 0, 3)
    assert await asyncio.wait_for(text(log, asyncio.Event(), follow=True, until=BASE + 1), WAIT) == lines(0, 2)
    soon = times.now() + 200_000_000
    assert await asyncio.wait_for(text(log, asyncio.Event(), follow=True, until=soon), WAIT) == lines(0, 3)


async def test_many_followers_share_one_inotify_instance(log):
    write(log, 0, 3)
    ended = asyncio.Event()
    followers = [asyncio.create_task(text(log, ended, follow=True)) for _ in range(300)]
    await asyncio.sleep(0.2)
    write(log, 3, 6)
    ended.set()
    assert set(await asyncio.gather(*followers)) == {lines(0, 6)}


async def test_a_reader_that_leaves_closes_its_files(log):
    write(log, 0, 30_000)
    chunks = read(log, LogOptions(follow=True), asyncio.Event())
    await anext(chunks)
    await chunks.aclose()
    reading = asyncio.create_task(text(log, asyncio.Event(), follow=True))
    await asyncio.sleep(0.02)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await asyncio.sleep(0.1)
    held = [p for p in (log.parent / "/proc/self/fd").iterdir() if p.is_symlink() and str(log) == _target(p)]
    assert held == []


def _target(link):
    try:
        return str(link.readlink())
    except OSError:
        return ""
