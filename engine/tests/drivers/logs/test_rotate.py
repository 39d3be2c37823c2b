"""Rotation, with a stand-in for conmon that reopens its log as conmon does."""

import asyncio
import os
import threading

import pytest

from engine.drivers.logs import rotate
from engine.drivers.logs.options import LogOptions
from engine.drivers.logs.reader import read
from engine.drivers.logs.rotate import LogBounds, LogFile, Rotator
from engine.tests.drivers.logs.test_parse import record


class Conmon:
    """Writes a log and obeys the control pipe."""

    def __init__(self, directory):
        self.log, self.ctl = directory / "c.log", directory / "ctl"
        os.mkfifo(self.ctl)
        self._pipe = os.open(self.ctl, os.O_RDWR | os.O_NONBLOCK)
        self._file = self.log.open("ab")
        self.reopened = 0
        self.written = 0

    def obey(self):
        try:
            messages = os.read(self._pipe, 200).decode().splitlines()
        except BlockingIOError:
            return
        for message in messages:
            assert message == "2 0 0"
            self._file.close()
            fresh = self.log.with_name("c.log.tmp")
            self._file = fresh.open("wb")
            fresh.rename(self.log)
            self.reopened += 1

    def write(self, count):
        self._file.write(b"".join(record(str(self.written + i)) for i in range(count)))
        self._file.flush()
        self.written += count

    def close(self):
        self._file.close()
        os.close(self._pipe)


@pytest.fixture
def conmon(tmp_path):
    conmon = Conmon(tmp_path)
    yield conmon
    conmon.close()


async def kept(conmon):
    data = b"".join([c.data async for c in read(conmon.log, LogOptions())])
    return [int(n) for n in data.split()]


def numbered(conmon):
    return sorted(p.name for p in conmon.log.parent.glob("c.log*"))


async def test_no_line_is_lost_or_doubled_at_any_step(conmon):
    log = LogFile(conmon.log, conmon.ctl, LogBounds(1000, 3))
    for _ in range(12):
        conmon.write(25)
        for step in (log.keep_within_bounds, conmon.obey, log.keep_within_bounds):
            step()
            found = await kept(conmon)
            assert found == list(range(conmon.written - len(found), conmon.written))
            conmon.write(2)
    assert conmon.reopened == 12
    assert numbered(conmon) == ["c.log", "c.log.1", "c.log.2"]


async def test_conmon_is_told_once_for_each_file(conmon):
    log = LogFile(conmon.log, conmon.ctl, LogBounds(1000, 3))
    conmon.write(30)
    for _ in range(5):
        log.keep_within_bounds()
    conmon.obey()
    assert conmon.reopened == 1


async def test_a_killed_daemon_goes_on_where_it_was(conmon):
    conmon.write(30)
    LogFile(conmon.log, conmon.ctl, LogBounds(1000, 3)).keep_within_bounds()
    LogFile(conmon.log, conmon.ctl, LogBounds(1000, 3)).keep_within_bounds()
    conmon.obey()
    assert conmon.reopened == 1
    assert await kept(conmon) == list(range(30))
    assert numbered(conmon) == ["c.log", "c.log.1"]


async def test_one_file_only(conmon):
    log = LogFile(conmon.log, conmon.ctl, LogBounds(1000, 1))
    for _ in range(3):
        conmon.write(30)
        log.keep_within_bounds()
        conmon.obey()
        log.keep_within_bounds()
        assert await kept(conmon) == list(range(conmon.written - 30, conmon.written))
    conmon.write(1)
    log.keep_within_bounds()
    assert await kept(conmon) == [90]
    assert numbered(conmon) == ["c.log"]


async def test_without_a_monitor_nothing_happens(conmon, tmp_path):
    conmon.write(30)
    LogFile(conmon.log, tmp_path / "gone", LogBounds(1000, 3)).keep_within_bounds()
    LogFile(tmp_path / "gone", tmp_path / "gone", LogBounds(1000, 3)).keep_within_bounds()
    assert await kept(conmon) == list(range(30))


async def test_the_rotator_notices_growth(conmon, monkeypatch):
    monkeypatch.setattr(rotate, "CHECK_DELAY", 0.01)
    rotator = Rotator()
    rotator.add("c", conmon.log, conmon.ctl, LogBounds(2000, 4))
    ended = asyncio.Event()
    reading = asyncio.create_task(_followed(conmon, ended))
    for _ in range(60):
        conmon.write(20)
        await asyncio.sleep(0.01)
        conmon.obey()
    await asyncio.sleep(0.1)
    conmon.obey()
    ended.set()
    assert await asyncio.wait_for(reading, 5) == list(range(1200))
    assert conmon.reopened > 3
    assert len(numbered(conmon)) == 4
    rotator.remove("c")
    rotator.remove("c")
    await rotator.close()


async def _followed(conmon, ended):
    data = b"".join([c.data async for c in read(conmon.log, LogOptions(follow=True), ended)])
    return [int(n) for n in data.split()]


async def test_readers_that_begin_while_names_move(conmon):
    log = LogFile(conmon.log, conmon.ctl, LogBounds(500, 5))
    stop = threading.Event()

    def work():
        while not stop.is_set():
            conmon.write(5)
            log.keep_within_bounds()
            conmon.obey()
            log.keep_within_bounds()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(50):
            found = await kept(conmon)
            assert found == list(range(found[0], found[0] + len(found))) if found else True
    finally:
        stop.set()
        worker.join()
