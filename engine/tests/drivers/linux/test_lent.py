"""Bodies that a worker reads from the socket itself."""

import os
import socket

import pytest

from engine.drivers.linux.lent import BodyDamaged, LentReader


def _read(early: bytes, later: bytes, length: int | None) -> bytes:
    """What the reader makes of it; the client ends its side afterwards."""
    file = os.memfd_create("early")
    os.write(file, early)
    os.lseek(file, 0, os.SEEK_SET)
    ours, theirs = socket.socketpair()
    try:
        theirs.sendall(later)
        theirs.shutdown(socket.SHUT_WR)
        ours.setblocking(False)
        reader = LentReader(file, ours.fileno(), length)
        return b"".join(bytes(piece) for piece in iter(reader.read, b""))
    finally:
        os.close(file)
        ours.close()
        theirs.close()


_CHUNKED = b"5\r\nabcde\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"


@pytest.mark.parametrize("cut", range(len(_CHUNKED) + 1))
def test_chunks_are_joined_wherever_they_are_cut(cut: int) -> None:
    assert _read(_CHUNKED[:cut], _CHUNKED[cut:], None) == b"abcde0123456789"


@pytest.mark.parametrize("cut", range(4))
def test_a_length_ends_a_body(cut: int) -> None:
    assert _read(b"abcGET"[:cut], b"abcGET"[cut:], 3) == b"abc"


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (b"", 3),
        (b"ab", 3),
        (b"", None),
        (b"5\r\nabc", None),
        (b"5\r\nabcde\r\n", None),
        (b"0\r\n", None),
        (b"5\r\nabcdeX\r\n0\r\n\r\n", None),
        (b"0x5\r\nabcde\r\n0\r\n\r\n", None),
        (b"-1\r\n\r\n", None),
        (b"\r\n", None),
        (b"f" * 5000, None),
    ],
)
def test_damaged_bodies(body: bytes, length: int | None) -> None:
    with pytest.raises(BodyDamaged):
        _read(b"", body, length)
