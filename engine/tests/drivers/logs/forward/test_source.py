"""Reading a log for a collector that does not keep up."""

import pytest

from engine.drivers.logs.forward.source import Source
from engine.tests.drivers.logs.test_parse import record


class Lines:
    """The simplest encoder."""

    def encode(self, entries):
        return [entry.line for entry in entries]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "c.log"


def write(path, numbers):
    with path.open("ab") as file:
        file.write(b"".join(record(f"{n:010}", at=n) for n in numbers))


def source(log):
    return Source(log, log.parent / "forward" / "position.json", Lines())


def given(source, limit=0):
    """The numbers that come until there are no more for now."""
    found = []
    while (batch := source.next(limit)) is not None:
        found += [int(line) for line in batch.packets]
    return found


def test_no_limit_gives_all(log):
    write(log, range(20_000))
    assert given(source(log)) == list(range(20_000))


def test_little_enough_is_kept(log):
    write(log, range(100))
    assert given(source(log), 1000) == list(range(100))


@pytest.mark.parametrize("rotations", [0, 1, 3])
def test_the_older_lines_are_kept(log, rotations):
    reader = source(log)
    write(log, range(10))
    assert given(reader) == list(range(10))
    for rotation in range(rotations):
        write(log, range(10 + rotation * 1000, 1010 + rotation * 1000))
        for number in range(rotation, 0, -1):
            log.with_name(f"c.log.{number}").rename(log.with_name(f"c.log.{number + 1}"))
        log.rename(log.with_name("c.log.1"))
    write(log, range(10 + rotations * 1000, 20_000))
    assert given(reader, 5000) == list(range(10, 510))
    write(log, range(20_000, 20_010))
    assert given(reader, 5000) == list(range(20_000, 20_010))


def test_what_is_dropped_stays_so_for_the_next_daemon(log):
    write(log, range(20_000))
    reader, position = source(log), b""
    while (batch := reader.next(5000)) is not None:
        position = batch.position
    reader.save(position)
    write(log, range(20_000, 20_003))
    assert given(source(log)) == [20_000, 20_001, 20_002]


def test_one_message_always_has_room(log):
    write(log, range(100))
    assert given(source(log), 1) == [0]
