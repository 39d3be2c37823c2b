"""Confined workers: the jobs as the daemon asks for them, and all ways in which a worker can end."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from engine.drivers.confine.confine import Confine
from engine.drivers.confine.failures import ArchiveRefused, WorkerFailed
from engine.tests.drivers.confine.archive import member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces need root")


@pytest.fixture
async def confine():
    confine = Confine()
    await confine._workers.start()
    yield confine
    await confine.close()


@pytest.fixture
def target(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    return target


def server(confine):
    return confine._workers._pid


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


async def until(condition):
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true")


async def test_a_layer_from_a_file(confine, target, tmp_path):
    (tmp_path / "layer").write_bytes(tar(member("a/b", b"x")))
    assert (await confine.unpack(tmp_path / "layer", "", target)).archive_size == 10240
    assert (target / "a/b").read_bytes() == b"x"


async def test_a_layer_that_is_still_arriving(confine, target):
    reader, writer = os.pipe()
    data = tar(member("a", b"x" * 3000))
    work = asyncio.create_task(confine.unpack(reader, "", target))
    for start in range(0, len(data), 1000):
        os.write(writer, data[start : start + 1000])
        await asyncio.sleep(0.002)
    os.close(writer)
    await work
    os.close(reader)
    assert (target / "a").stat().st_size == 3000


async def test_a_refused_layer(confine, target, tmp_path):
    (tmp_path / "layer").write_bytes(tar(member("../x", b"x")))
    with pytest.raises(ArchiveRefused, match="leads outside"):
        await confine.unpack(tmp_path / "layer", "", target)
    assert not (tmp_path / "x").exists()


async def test_cancelling_ends_the_worker(confine, target):
    reader, writer = os.pipe()
    work = asyncio.create_task(confine.unpack(reader, "", target))
    await until(lambda: children(server(confine)))
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await until(lambda: not children(server(confine)))
    os.close(reader)
    os.close(writer)


async def test_a_worker_that_dies_is_one_error(confine, target):
    reader, writer = os.pipe()
    work = asyncio.create_task(confine.unpack(reader, "", target))
    await until(lambda: children(server(confine)))
    os.kill(int(children(server(confine))[0]), signal.SIGKILL)
    with pytest.raises(WorkerFailed, match="without an answer"):
        await work
    os.close(reader)
    os.close(writer)
    assert await confine.disk_usage(target) == 4096


async def test_a_fork_server_that_dies_is_replaced(confine, target):
    os.kill(server(confine), signal.SIGKILL)
    assert await confine.disk_usage(target) == 4096


async def test_workers_end_with_the_fork_server(confine, target):
    reader, writer = os.pipe()
    work = asyncio.create_task(confine.unpack(reader, "", target))
    await until(lambda: children(server(confine)))
    worker = children(server(confine))[0]
    await confine.close()
    with pytest.raises(WorkerFailed):
        await work
    await until(lambda: not Path(f"/proc/{worker}").exists())
    os.close(reader)
    os.close(writer)


async def test_many_at_once(confine, target):
    assert set(await asyncio.gather(*(confine.disk_usage(target) for _ in range(50)))) == {4096}


async def test_a_volume_gets_the_image_s_content(confine, target, tmp_path):
    root = tmp_path / "root"
    (root / "data/sub").mkdir(parents=True)
    (root / "data/sub/file").write_text("x")
    os.link(root / "data/sub/file", root / "data/hard")
    (root / "data/link").symlink_to("/etc/passwd")
    (root / "data/sub/file").chmod(0o4755)
    os.utime(root / "data/sub", (5, 5))
    os.chown(root / "data", 11, 12)
    (root / "data").chmod(0o750)
    with (root / "data/sparse").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"middle")
    (root / "alias").symlink_to("/data")
    await confine.copy_up(root, "/alias", target)
    assert (target / "hard").stat().st_nlink == 2
    assert (target / "link").readlink().as_posix() == "/etc/passwd"
    assert (target / "sub/file").stat().st_mode & 0o7777 == 0o4755
    assert (target / "sub").stat().st_mtime == 5
    assert (target.stat().st_uid, target.stat().st_gid, target.stat().st_mode & 0o777) == (11, 12, 0o750)
    assert (target / "sparse").read_bytes() == (root / "data/sparse").read_bytes()
    assert (target / "sparse").stat().st_blocks < 100


async def test_a_volume_with_content_stays_as_it_is(confine, target, tmp_path):
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    (root / "data/new").write_text("x")
    (target / "old").write_text("y")
    for path in ("/data", "/none", "/data/new"):
        await confine.copy_up(root, path, target)
    assert [entry.name for entry in target.iterdir()] == ["old"]
