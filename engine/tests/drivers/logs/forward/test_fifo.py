"""FIFOs for plugins: when their ends are opened, what goes through, what is left."""

import asyncio
import os
from pathlib import Path

import pytest

from engine.core.errors import Internal
from engine.drivers.logs.forward.address import DialFailed
from engine.drivers.logs.forward.entries import Entry, Piece
from engine.drivers.logs.forward.entry_reader import chunks
from engine.drivers.logs.forward.fifo import FifoDirectory, FifoRoute
from engine.drivers.logs.forward.log_entry import LogEntryDecoder, LogEntryEncoder
from engine.drivers.logs.options import LogOptions

TIME = b"2026-11-24T20:12:42.642034290"


class FakePlugin:
    """Reads its FIFO in a thread; `waits`: it answers only when the other end is open."""

    def __init__(self, directory: Path, *, waits: bool = False, reads: bool = True, problem: str = "") -> None:
        self._directory = directory
        self._waits = waits
        self._reads = reads
        self._problem = problem
        self.ended: list[str] = []
        self.reading: asyncio.Task[bytes] | None = None

    async def begin(self, file: str) -> None:
        if self._problem:
            raise Internal(self._problem)
        path = self._directory / file
        if self._waits:
            stream = await asyncio.to_thread(path.open, "rb")
            self.reading = asyncio.ensure_future(asyncio.to_thread(stream.read))
        elif self._reads:
            self.reading = asyncio.ensure_future(asyncio.to_thread(path.read_bytes))

    async def end(self, file: str) -> None:
        self.ended.append(file)


@pytest.mark.parametrize("waits", [True, False])
async def test_what_is_sent_arrives_and_the_fifo_goes(tmp_path: Path, waits: bool) -> None:
    plugin = FakePlugin(tmp_path, waits=waits)
    connection = await FifoRoute(FifoDirectory(tmp_path, "d"), plugin).connect()
    [name] = os.listdir(tmp_path)
    await connection.send([b"x" * 200_000, b"end"])
    await connection.close()
    assert plugin.reading is not None
    assert await plugin.reading == b"x" * 200_000 + b"end"
    assert plugin.ended == [name]
    assert os.listdir(tmp_path) == []


async def test_an_end_without_a_word_reaches_the_plugin(tmp_path: Path) -> None:
    plugin = FakePlugin(tmp_path)
    connection = await FifoRoute(FifoDirectory(tmp_path, "d"), plugin).connect()
    await asyncio.sleep(0.05)
    await connection.close()
    assert plugin.reading is not None
    assert await plugin.reading == b""


async def test_a_plugin_that_refuses_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DialFailed, match="^error creating logger: not now$"):
        await FifoRoute(FifoDirectory(tmp_path, "d"), FakePlugin(tmp_path, problem="not now")).connect()
    assert os.listdir(tmp_path) == []


async def test_a_plugin_that_has_gone_is_told_by_the_next_write(tmp_path: Path) -> None:
    plugin = FakePlugin(tmp_path, reads=False)
    connection = await FifoRoute(FifoDirectory(tmp_path, "d"), plugin).connect()
    [fifo] = tmp_path.iterdir()
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    await connection.send([b"a"])
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        await connection.send([b"b"])
    await connection.close()
    assert os.listdir(tmp_path) == []


def test_only_our_own_leftovers_are_removed(tmp_path: Path) -> None:
    ours, theirs = FifoDirectory(tmp_path, "a").make(), FifoDirectory(tmp_path, "b").make()
    FifoDirectory(tmp_path, "a").clean()
    assert not ours.exists()
    assert theirs.exists()


def test_messages_carry_pieces() -> None:
    entries = [Entry(2, TIME, b"whole"), Entry(1, TIME, b"part", Piece("i", 2, True))]
    packets = LogEntryEncoder().encode(entries)
    data = b"".join(packets)
    decoder = LogEntryDecoder()
    whole, part = [m for at in range(len(data)) for m in decoder.feed(data[at : at + 1])]
    decoder.finish()
    assert (whole.source, whole.time_nano, whole.line, whole.partial) == (
        "stderr",
        1795551162642034290,
        b"whole",
        False,
    )
    piece = part.partial_log_metadata
    assert (part.source, part.partial, piece.id, piece.ordinal, piece.last) == ("stdout", True, "i", 2, True)


async def test_what_a_plugin_gives_back_is_looked_at_again() -> None:
    data = b"".join(LogEntryEncoder().encode([Entry(1, TIME, b"one\n"), Entry(2, TIME, b"two\n")]))

    async def read(options: LogOptions, sent: bytes = data) -> list[bytes]:
        async def stream():  # type: ignore[no-untyped-def]
            yield sent

        return [chunk.data async for chunk in chunks(stream(), options)]

    assert await read(LogOptions(stderr=False, timestamps=True)) == [TIME + b"Z one\n"]
    assert await read(LogOptions(details="a=b ")) == [b" one\n", b" two\n"]
    assert await read(LogOptions(since=1795551162642034291)) == []
    assert await read(LogOptions(until=1795551162642034289)) == []
    with pytest.raises(ValueError, match="^unexpected EOF$"):
        await read(LogOptions(), data[:-1])
