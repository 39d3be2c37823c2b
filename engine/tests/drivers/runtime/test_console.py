"""Consoles against a stand-in for conmon: the same socket, packets and end."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.drivers.runtime import console
from engine.drivers.runtime.console import Console, connect_socket


class Monitor:
    """Listens at the attach socket as conmon does."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "attach"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.open(directory, os.O_PATH)
        self.listener.bind(f"/proc/self/fd/{parent}/attach")
        os.close(parent)
        self.listener.listen(10)

    def accept(self) -> socket.socket:
        return self.listener.accept()[0]


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    # Longer than an address holds.
    directory = tmp_path / ("long" * 30)
    directory.mkdir()
    made = Monitor(directory)
    yield made
    made.listener.close()


async def _connected(monitor: Monitor, spool: Path) -> tuple[Console, socket.socket]:
    made = await Console.connect(monitor.path, spool)
    return made, monitor.accept()


async def test_a_connection_is_one_that_the_monitor_knows_of(monitor: Monitor, tmp_path: Path) -> None:
    connecting = asyncio.ensure_future(Console.connect(monitor.path, tmp_path, accepted=True))
    await asyncio.sleep(0.05)
    assert not connecting.done()
    far = monitor.accept()
    far.send(b"\x02first")
    made = await connecting
    far.close()
    assert [chunk async for chunk in made] == [(1, b"first")]
    made.close()


async def test_a_monitor_that_ends_before_it_accepts(monitor: Monitor, tmp_path: Path) -> None:
    connecting = asyncio.ensure_future(Console.connect(monitor.path, tmp_path, accepted=True))
    await asyncio.sleep(0.02)
    monitor.listener.close()
    made = await connecting
    assert [chunk async for chunk in made] == []
    made.close()


async def test_output_by_stream_to_the_last_byte(monitor: Monitor, tmp_path: Path) -> None:
    made, far = await _connected(monitor, tmp_path)
    for packet in (b"\x02out", b"\x02put", b"\x03err", b"\x02more", b"\x03"):
        far.send(packet)
    far.close()
    received = [chunk async for chunk in made]
    assert received == [(1, b"output"), (2, b"err"), (1, b"more")]
    made.close()


async def test_unread_input_does_not_cost_output(monitor: Monitor, tmp_path: Path) -> None:
    made, far = await _connected(monitor, tmp_path)
    await made.write_stdin(b"never read")
    far.send(b"\x02last words")
    far.close()
    assert [chunk async for chunk in made] == [(1, b"last words")]
    with pytest.raises(ConnectionError):
        await made.write_stdin(b"x")
    made.close()


async def test_input_in_packets_then_half_close(monitor: Monitor, tmp_path: Path) -> None:
    made, far = await _connected(monitor, tmp_path)
    await made.write_stdin(b"a" * 20000)
    made.close_stdin()
    sizes = []
    while data := far.recv(65536):
        sizes.append(len(data))
    assert sum(sizes) == 20000
    assert max(sizes) <= 8192
    far.send(b"\x02still here")
    far.close()
    assert [chunk async for chunk in made] == [(1, b"still here")]
    made.close()


async def test_input_waits_for_the_container(monitor: Monitor, tmp_path: Path) -> None:
    made, far = await _connected(monitor, tmp_path)
    data = os.urandom(1 << 20)
    writing = asyncio.create_task(made.write_stdin(data))
    await asyncio.sleep(0.01)
    assert not writing.done()
    received = b""
    while len(received) < len(data):
        received += await asyncio.to_thread(far.recv, 65536)
    await writing
    assert received == data
    far.close()
    made.close()


async def test_slow_reader_stalls_nobody(monitor: Monitor, tmp_path: Path) -> None:
    made, far = await _connected(monitor, tmp_path)
    packets = [b"\x02" + b"%08d" % number * 1000 for number in range(1200)]

    def send() -> None:
        for packet in packets:
            far.send(packet)
        far.close()

    await asyncio.wait_for(asyncio.to_thread(send), 20)
    received = b"".join([data async for _, data in made])
    assert received == b"".join(packet[1:] for packet in packets)
    made.close()


async def test_container_that_is_gone(tmp_path: Path) -> None:
    made = await Console.connect(tmp_path / "attach", tmp_path)
    assert [chunk async for chunk in made] == []
    made.close()


async def test_close_ends_the_iteration(monitor: Monitor, tmp_path: Path) -> None:
    made, far = await _connected(monitor, tmp_path)
    reading = asyncio.create_task(anext(made, None))
    await asyncio.sleep(0)
    made.close()
    assert await reading is None
    assert far.recv(10) == b""
    far.close()


async def test_lingering_keeps_the_connection(monitor: Monitor, tmp_path: Path) -> None:
    made, far = await _connected(monitor, tmp_path)
    made.linger()
    made.close()
    far.setblocking(False)
    for _ in range(100):
        far.send(b"\x02" + b"x" * 1000)
        await asyncio.sleep(0)
    with pytest.raises(BlockingIOError):
        far.recv(10)
    far.close()
    await asyncio.sleep(0.01)
    assert made._closed


async def test_resize_writes_a_line(tmp_path: Path) -> None:
    fifo = tmp_path / "ctl"
    await console.resize(fifo, 1, 2)
    os.mkfifo(fifo)
    await console.resize(fifo, 1, 2)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    await console.resize(fifo, 24, 5000)
    assert os.read(reader, 100) == b"1 24 1000\n"
    os.close(reader)


def test_connect_to_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe, pytest.raises(FileNotFoundError):
        connect_socket(probe, tmp_path / "attach")
