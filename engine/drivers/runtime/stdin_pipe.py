"""Whether anybody can still read what is sent to a container's standard input.

conmon that gets EPIPE from the pipe tries again at once and for ever, at the cost of a whole CPU (`conn_sock.c`, seen
with 2.1.6). So input is not even sent to it when the container has closed its end. The pipe is found among conmon's
descriptors; opened for writing, it polls as an error when nobody has it open for reading (pipe(7)).
"""

import os
import re
import select
import socket
import struct
from pathlib import Path

_CREDENTIALS = struct.Struct("3i")
_FLAGS = re.compile(r"^flags:\s*([0-7]+)$", re.MULTILINE)
# The descriptors that the daemon gave it (`monitor.py`).
_GIVEN = frozenset({"0", "1", "2", "3", "4", "5"})


class StdinPipe:
    """The standard input of whatever the monitor at the far end of a connected attach socket monitors."""

    def __init__(self, connection: socket.socket) -> None:
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self._path = _find(_CREDENTIALS.unpack(data)[0])

    def has_reader(self) -> bool:
        """Tell whether input can arrive; assume it where the pipe is not known: a terminal has none."""
        if self._path is None:
            return True
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return True
        try:
            poll = select.poll()
            poll.register(fd, 0)
            return not poll.poll(0)
        finally:
            os.close(fd)


def _find(pid: int) -> Path | None:
    """Return the one pipe that a monitor writes to without blocking. Reads procfs."""
    try:
        found = [path for path in Path(f"/proc/{pid}/fd").iterdir() if path.name not in _GIVEN and _is_input(path)]
    except OSError:
        return None
    return found[0] if len(found) == 1 else None


def _is_input(path: Path) -> bool:
    try:
        if not str(path.readlink()).startswith("pipe:"):
            return False
        match = _FLAGS.search((path.parent.parent / "fdinfo" / path.name).read_text())
    except OSError:
        return False
    flags = int(match[1], 8) if match else 0
    return flags & os.O_ACCMODE == os.O_WRONLY and bool(flags & os.O_NONBLOCK)
