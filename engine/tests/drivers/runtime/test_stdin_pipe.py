"""A pipe without a reader is recognised from outside."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.drivers.runtime import stdin_pipe
from engine.drivers.runtime.stdin_pipe import StdinPipe


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    yield ours
    ours.close()
    theirs.close()


def _open() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_reader_and_no_reader(connection: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    # This process has other pipes too.
    given = _open() - {str(writing)}
    monkeypatch.setattr(stdin_pipe, "_GIVEN", given)
    pipe = StdinPipe(connection)
    assert pipe.has_reader()
    os.write(writing, b"x" * 1000)
    assert pipe.has_reader()
    os.close(reading)
    assert not pipe.has_reader()
    os.close(writing)


def test_without_a_pipe(connection: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdin_pipe, "_GIVEN", _open())
    assert StdinPipe(connection).has_reader()
