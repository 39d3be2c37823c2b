"""Delivery: each line once, whatever collectors and daemons do; a dead collector costs nothing."""

import asyncio
import socket

import pytest

from engine.drivers.logs.forward.address import Address, DialFailed
from engine.drivers.logs.forward.connection import Route
from engine.drivers.logs.forward.forwarder import Destination, ForwardedLog, Forwarders
from engine.drivers.logs.forward.journald import JournaldEncoder, JournaldForm
from engine.drivers.logs.forward.source import is_behind
from engine.tests.drivers.logs.test_parse import record


class Lines:
    """The simplest encoder."""

    def encode(self, entries):
        return [entry.line + b"\n" for entry in entries]


class Collector:
    """Takes connections and keeps what they bring."""

    def __init__(self):
        self.received = b""
        self.reading = True
        self._server = None
        self._writers = set()

    async def start(self, port=0):
        self._server = await asyncio.start_server(self._take, "127.0.0.1", port)
        return self._server.sockets[0].getsockname()[1]

    async def _take(self, reader, writer):
        self._writers.add(writer)
        while self.reading and (data := await reader.read(65536)):
            self.received += data

    async def stop(self):
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def has(self, count):
        async with asyncio.timeout(10):
            while self.received.count(b"\n") < count:
                await asyncio.sleep(0.01)
        return [int(n) for n in self.received.split()]


@pytest.fixture
async def collector():
    made = Collector()
    made.port = await made.start()
    yield made
    await made.stop()


@pytest.fixture
def files(tmp_path):
    return ForwardedLog("c" * 64, tmp_path / "c.log", tmp_path / "forward" / "position.json")


class Log:
    def __init__(self, path):
        self.path, self.written = path, 0

    def write(self, count, path=None):
        numbers = range(self.written, self.written + count)
        with (path or self.path).open("ab") as file:
            file.write(b"".join(record(str(n), at=n) for n in numbers))
        self.written += count


@pytest.fixture
def log(files):
    return Log(files.log)


def to(port, **options):
    return Destination(Route((Address("tcp", "127.0.0.1", port),)), Lines, retry_seconds=0.05, **options)


async def finished(forwarders, files):
    forwarders.finish(files.container_id)
    async with asyncio.timeout(10):
        while files.container_id in forwarders._all:
            await asyncio.sleep(0.01)


async def test_lines_are_sent_as_they_come(files, log, collector):
    forwarders = Forwarders()
    await forwarders.start(files, to(collector.port))
    log.write(3)
    assert await collector.has(3) == [0, 1, 2]
    log.write(2)
    assert await collector.has(5) == [0, 1, 2, 3, 4]
    await forwarders.close()


async def test_a_start_without_a_collector_fails(files):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    forwarders = Forwarders()
    with pytest.raises(DialFailed, match=f"^x dial tcp 127.0.0.1:{port}: connect: connection refused$"):
        await forwarders.start(files, to(port, failure="x {}"))
    await forwarders.start(files, to(port, lazy=True))
    await forwarders.close()


async def test_the_next_daemon_goes_on_where_the_last_one_stopped(files, log, collector):
    for _ in range(4):
        forwarders = Forwarders()
        await forwarders.resume(files, to(collector.port), running=True)
        log.write(100)
        await collector.has(log.written)
        await forwarders.close()
        log.write(50)
    forwarders = Forwarders()
    await forwarders.resume(files, to(collector.port), running=False)
    assert await collector.has(600) == list(range(600))
    await finished(forwarders, files)
    assert not is_behind(files.position, files.log)
    await forwarders.resume(files, to(collector.port), running=False)
    assert not forwarders._all


async def test_lines_written_while_no_daemon_was_there_in_rotated_files(files, log, collector):
    forwarders = Forwarders()
    await forwarders.start(files, to(collector.port))
    log.write(10)
    await collector.has(10)
    await forwarders.close()
    log.write(10)
    files.log.rename(files.log.with_name("c.log.2"))
    log.write(10, files.log.with_name("c.log.1"))
    log.write(10)
    await forwarders.resume(files, to(collector.port), running=True)
    assert await collector.has(40) == list(range(40))
    await forwarders.close()


async def test_a_cut_log_is_not_sent_twice(files, log, collector):
    forwarders = Forwarders()
    await forwarders.start(files, to(collector.port))
    log.write(20)
    await collector.has(20)
    await forwarders.close()
    log.write(10)
    lines = files.log.read_bytes().splitlines(keepends=True)
    files.log.write_bytes(b"".join(lines[12:]))
    await forwarders.resume(files, to(collector.port), running=True)
    assert await collector.has(30) == list(range(30))
    await forwarders.close()


async def test_a_collector_that_comes_back_gets_the_rest(files, log, collector):
    forwarders = Forwarders()
    await forwarders.start(files, to(collector.port))
    log.write(5)
    await collector.has(5)
    await collector.stop()
    await asyncio.sleep(0.05)
    log.write(2000)
    await asyncio.sleep(0.2)
    again = Collector()
    await again.start(collector.port)
    assert await again.has(2000) == list(range(5, 2005))
    await forwarders.close()
    await again.stop()


async def test_a_collector_that_does_not_read_holds_up_nobody(files, log, collector):
    collector.reading = False
    forwarders = Forwarders()
    await forwarders.start(files, to(collector.port))
    log.write(200_000)
    await asyncio.sleep(0.3)
    started = asyncio.get_running_loop().time()
    await forwarders.close()
    assert asyncio.get_running_loop().time() - started < 3


async def test_what_is_left_of_a_removed_container_is_sent(files, log, collector):
    await collector.stop()
    forwarders = Forwarders()
    await forwarders.start(files, to(collector.port, lazy=True))
    log.write(10)
    await asyncio.sleep(0.1)
    files.log.rename(files.log.with_name("c.log.1"))
    log.write(10)
    await forwarders.release(files.container_id)
    files.log.unlink()
    files.log.with_name("c.log.1").unlink()
    again = Collector()
    await again.start(collector.port)
    assert await again.has(20) == list(range(20))
    await forwarders.close()
    await again.stop()


async def test_an_unfinished_line_is_sent_at_the_end(files, collector):
    forwarders = Forwarders()
    await forwarders.start(files, to(collector.port))
    files.log.write_bytes(record("12", flag="P"))
    await asyncio.sleep(0.1)
    assert collector.received == b""
    await finished(forwarders, files)
    assert await collector.has(1) == [12]
    await forwarders.close()


async def test_a_restarted_container_takes_the_place_of_its_last_run(files, log, collector):
    forwarders = Forwarders()
    for _ in range(3):
        await forwarders.start(files, to(collector.port))
        log.write(10)
        forwarders.finish(files.container_id)
    assert await collector.has(30) == list(range(30))
    await forwarders.close()


async def test_a_damaged_position_sends_all(files, log, collector):
    files.position.parent.mkdir()
    files.position.write_bytes(b"{")
    log.write(3)
    forwarders = Forwarders()
    await forwarders.resume(files, to(collector.port), running=False)
    assert await collector.has(3) == [0, 1, 2]
    await forwarders.close()


async def test_the_journal(files, log, tmp_path):
    path = tmp_path / "journal"
    route = Route((Address("unixgram", path=str(path)),))
    destination = Destination(route, lambda: JournaldEncoder(JournaldForm({"CONTAINER_NAME": "web"})), failure="none")
    forwarders = Forwarders()
    with pytest.raises(DialFailed, match="^none$"):
        await forwarders.start(files, destination)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        journal.settimeout(5)
        await forwarders.start(files, destination)
        log.write(2)
        for number in range(2):
            entry = await asyncio.to_thread(journal.recv, 4096)
            assert f"MESSAGE={number}\nCONTAINER_NAME=web\n".encode() in entry
    await forwarders.close()


async def test_a_full_disk_does_not_stop_delivery(files, log, collector, monkeypatch, caplog):
    def full(self, position):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.drivers.logs.forward.source.Source.save", full)
    forwarders = Forwarders()
    await forwarders.start(files, to(collector.port))
    for count in (5, 10):
        log.write(5)
        await collector.has(count)
    await forwarders.close()
    assert "may send lines of container" in caplog.text


async def test_a_log_that_cannot_be_read_for_a_while(files, log, collector, monkeypatch):
    monkeypatch.setattr("engine.drivers.logs.forward.forwarder._LONGEST_WAIT", 0.05)
    log.write(3)
    files.log.rename(files.log.with_name("kept"))
    files.log.symlink_to("loop")
    forwarders = Forwarders()
    await forwarders.start(files, to(collector.port))
    await asyncio.sleep(0.1)
    assert collector.received == b""
    files.log.unlink()
    files.log.with_name("kept").rename(files.log)
    assert await collector.has(3) == [0, 1, 2]
    await forwarders.close()
