"""Tells systemd how the daemon is doing (sd_notify(3)); does nothing where nobody asked."""

import contextlib
import os
import socket
import time

_VARIABLE = "NOTIFY_SOCKET"


class Notifier:
    """The service manager's socket. Taken out of the environment, so that no child speaks for the daemon."""

    def __init__(self) -> None:
        address = os.environ.pop(_VARIABLE, "")
        # An abstract socket is written with an @ (unix(7)).
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    def ready(self) -> None:
        """Started, or done with reloading: clients are answered."""
        self._send("READY=1")

    def reloading(self) -> None:
        """SIGHUP came; `ready` must follow."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon is about to end."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Say in one line what the daemon does (`systemctl status` shows it)."""
        self._send(f"STATUS={text}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.sendto(message.encode(), self._address)
