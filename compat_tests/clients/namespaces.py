"""A network and mount namespace of its own for a daemon, and calls made from inside it.

A holder process keeps the pair alive, so that a daemon which is killed and started again comes back to its mounts and
interfaces, and nothing needs cleaning up afterwards but that one process.
"""

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_SETUP = """
mount --make-rshared /
mkdir -p /run/docker/plugins
mount -t tmpfs plugins /run/docker/plugins
ip link set lo up
ip link add eth0 type veth peer name eth0-peer
ip address add 198.51.100.10/24 dev eth0
ip link set eth0 up
ip link set eth0-peer up
ip route add default via 198.51.100.1
echo ready
exec sleep infinity
"""


class HostNamespaces:
    """The machine's own namespaces: nothing to create, nothing to enter."""

    pid = os.getpid()
    private = False

    def command(self, argv: list[str]) -> list[str]:
        return argv

    def call(self, function: Callable[[], T]) -> T:
        return function()

    def close(self) -> None:
        pass


class PrivateNamespaces:
    """A fresh network namespace with an `eth0` that leads nowhere, and a mount namespace with a shared `/`.

    Its `/run/docker/plugins` is its own: dockerd waits long for what others leave there.
    """

    private = True

    def __init__(self) -> None:
        argv = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", _SETUP]
        self._holder = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            raise RuntimeError("cannot make a network namespace: are you root?")
        self.pid = self._holder.pid

    def command(self, argv: list[str]) -> list[str]:
        """The same command, run inside."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", f"--mount=/proc/{self.pid}/ns/mnt", *argv]

    def call(self, function: Callable[[], T]) -> T:
        """Run the function in a thread that sits in the network namespace: sockets that it makes belong there."""
        return call_in_network(self.pid, function)

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()


def call_in_network(pid: int, function: Callable[[], T]) -> T:
    """Run the function in a thread that sits in that process's network namespace."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def inside() -> None:
        try:
            _enter(f"/proc/{pid}/ns/net")
            outcome.append(function())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


Namespaces = HostNamespaces | PrivateNamespaces


def _enter(path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(path, os.O_RDONLY)
    try:
        if libc.setns(fd, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(fd)
