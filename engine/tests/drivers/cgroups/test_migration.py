"""The kernel is told ahead, once at a time, and nothing depends on it."""

import asyncio
import os
import threading

from engine.drivers.cgroups.migration import Forewarning


async def _written(path):
    async with asyncio.timeout(5):
        while not path.read_text():
            await asyncio.sleep(0.001)
    return path.read_text()


async def test_we_put_ourselves_where_we_are(tmp_path):
    members = tmp_path / "cgroup.procs"
    members.write_text("")
    forewarning = Forewarning(members)
    forewarning.give()
    assert await _written(members) == "0"
    forewarning.close()


async def test_a_warning_under_way_is_enough(tmp_path):
    pipe = tmp_path / "cgroup.procs"
    os.mkfifo(pipe)
    forewarning = Forewarning(pipe)
    before = threading.active_count()
    for _ in range(10):
        forewarning.give()
    # The one writer waits for a reader; none of the other nine came to wait behind it.
    assert await asyncio.to_thread(pipe.read_text) == "0"
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    forewarning.close()
    assert os.read(reader, 100) == b""
    os.close(reader)
    assert threading.active_count() <= before + 1


async def test_without_a_cgroup_nothing_happens(tmp_path):
    for members in (None, tmp_path / "missing" / "cgroup.procs"):
        forewarning = Forewarning(members)
        forewarning.give()
        forewarning.close()
