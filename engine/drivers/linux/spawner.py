"""A thread that starts programs for a process with thousands of open descriptors.

The kernel copies the table of the thread that starts a program, and closes each descriptor of the copy when the
program begins: with a socket for each of five thousand published ports, milliseconds for each program. This thread has
a table of its own, in which there is nothing but what it is sent (unshare(2), CLONE_FILES).
"""

import contextlib
import os
import queue
import signal
import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from engine.drivers.linux import syscalls
from engine.drivers.linux.duplicate import duplicated
from engine.drivers.linux.spawn import posix_spawnp

_LAST = (1 << 32) - 1
_MOST = 253  # SCM_MAX_FD


@dataclass(frozen=True, slots=True)
class _Program:
    argv: Sequence[str]
    numbers: Sequence[int]
    env: Mapping[str, str]
    new_session: bool
    pid: "Future[int]" = field(default_factory=Future)


class Spawner:
    """The thread, which begins with the first program and ends with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._programs: queue.SimpleQueue[_Program] = queue.SimpleQueue()
        # Both stay open here: a number that the thread uses must stand for nothing else in the process.
        self._sockets: tuple[socket.socket, socket.socket] | None = None

    def spawn(self, argv: Sequence[str], files: Mapping[int, int], env: Mapping[str, str], *, new_session: bool) -> int:
        """Start a program as `proc.spawn` does. Raises FileNotFoundError, PermissionError, OSError. Blocks."""
        program = _Program(argv, list(files), env, new_session)
        with self._lock:
            ours, _ = self._sockets = self._sockets or self._begun()
            socket.send_fds(ours, [b"\0"], list(files.values()))
            # Not before: one whose descriptors could not be sent would be started with those of the next.
            self._programs.put(program)
        return program.pid.result()

    def _begun(self) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        threading.Thread(target=self._serve, args=(theirs,), name="spawner", daemon=True).start()
        return ours, theirs

    def _serve(self, requests: socket.socket) -> None:
        # The handler's pipe is not open here.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        syscalls.unshare(syscalls.CLONE_FILES)
        for first, last in ((3, requests.fileno() - 1), (requests.fileno() + 1, _LAST)):
            if first <= last:
                syscalls.close_range(first, last)
        while True:
            _, fds, _, _ = socket.recv_fds(requests, 1, _MOST, socket.MSG_CMSG_CLOEXEC)
            program = self._programs.get()
            try:
                program.pid.set_result(_start(program, fds))
            except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
                program.pid.set_exception(error)
            del program


def _start(program: _Program, fds: Sequence[int]) -> int:
    try:
        with duplicated(dict(zip(program.numbers, fds, strict=True))) as held:
            return posix_spawnp(program.argv, held, program.env, new_session=program.new_session)
    finally:
        for fd in fds:
            with contextlib.suppress(OSError):
                os.close(fd)
