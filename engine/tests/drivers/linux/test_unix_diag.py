"""Whether a connection has been accepted."""

import socket

from engine.drivers.linux.unix_diag import is_accepted


def test_before_and_after(tmp_path):
    kind = socket.SOCK_SEQPACKET
    with socket.socket(socket.AF_UNIX, kind) as listener, socket.socket(socket.AF_UNIX, kind) as client:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        client.connect(str(tmp_path / "s"))
        assert not is_accepted(client)
        with listener.accept()[0]:
            assert is_accepted(client)


def test_what_cannot_be_told_is_taken_for_accepted(tmp_path):
    assert is_accepted(socket.socket(socket.AF_UNIX))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        client.connect(str(tmp_path / "s"))
        listener.close()
        assert is_accepted(client)
    closed = socket.socket(socket.AF_UNIX)
    closed.close()
    assert is_accepted(closed)
