"""Sockets that systemd opened for the daemon (sd_listen_fds(3))."""

import os
import socket
from dataclasses import dataclass

_FIRST = 3
_taken: list["Inherited"] = []


@dataclass(frozen=True, slots=True)
class Inherited:
    """One socket and the name that its unit gives it."""

    name: str
    socket: socket.socket


def inherited_sockets() -> list[Inherited]:
    """Return the listening stream sockets passed to this process; none where it was not started by a socket unit.

    The variables are taken out of the environment, so that no child believes itself meant.
    """
    count = os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if os.environ.pop("LISTEN_PID", "") == str(os.getpid()) and count.isdigit():
        for index in range(int(count)):
            os.set_inheritable(_FIRST + index, False)
            found = socket.socket(fileno=_FIRST + index)
            if found.type == socket.SOCK_STREAM:
                _taken.append(Inherited(names[index] if index < len(names) else "", found))
    return list(_taken)
