"""Messages to the service manager."""

import os
import socket
from pathlib import Path

import pytest

from engine.drivers.linux.notify import Notifier


def test_tells_the_service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        notifier = Notifier()
        notifier.ready()
        notifier.reloading()
        notifier.stopping()
        received = [manager.recv(1000).decode() for _ in range(3)]
    assert received[0] == "READY=1"
    assert received[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert received[2] == "STOPPING=1"
    assert "NOTIFY_SOCKET" not in os.environ


def test_nobody_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().ready()
