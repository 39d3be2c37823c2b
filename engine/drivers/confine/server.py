"""The fork server: a small process that has loaded all that tree work takes, and forks a worker for each request.

`main` runs in it. A request is one message on the socket that is descriptor 3: JSON, and with it the descriptors
`lifeline`, `answer`, `tree` (a detached mount, or a mount namespace), then the job's own. The worker writes a blank to
`answer` when it begins and one JSON value when it is done. When the daemon closes `lifeline` or dies, the kernel ends
the worker; when it closes the socket or dies, the server ends.

Imports as little as it can: its memory counts for the daemon's.
"""

import errno
import fcntl
import gc
import json
import os
import select
import signal
import socket
from collections.abc import Sequence
from typing import Any, NoReturn

from engine.core import os_errors
from engine.drivers.confine import jail
from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.confine.jobs import JOBS
from engine.drivers.linux import syscalls

SOCKET_FD = 3
MAX_MESSAGE = 1 << 17
MAX_FDS = 253
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def main() -> None:
    """Serve until the daemon closes the socket."""
    os.closerange(SOCKET_FD + 1, 1 << 20)  # What the daemon itself was given without O_CLOEXEC.
    requests = socket.socket(fileno=SOCKET_FD)
    syscalls.prctl(syscalls.PR_SET_NAME, b"wharf-confine\0")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for workers: they leave no zombies.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.umask(0)
    jail.leave_host()
    # A collection would touch, and so copy, every object in every worker.
    gc.disable()
    gc.freeze()
    requests.send(b"ready")
    while True:
        message, fds, _, _ = socket.recv_fds(requests, MAX_MESSAGE, MAX_FDS)
        if not message:
            return
        if os.fork() == 0:
            requests.close()
            _work(message, fds)
        for fd in fds:
            os.close(fd)


def _work(message: bytes, fds: Sequence[int]) -> NoReturn:
    """Do one request, and end."""
    status = 1
    try:
        lifeline, answer, tree, *others = fds
        _die_with(lifeline)
        _write(answer, b" ")
        reply = _reply(json.loads(message), tree, others)
        _write(answer, json.dumps(reply).encode())
        status = 0
    finally:
        os._exit(status)


def _die_with(lifeline: int) -> None:
    """Let the kernel end this process when the pipe's other end is closed: O_ASYNC, and SIGIO's default (fcntl(2))."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC)
    poll = select.poll()
    poll.register(lifeline, 0)
    if poll.poll(0):
        os._exit(1)


def _reply(request: dict[str, Any], tree: int, fds: Sequence[int]) -> dict[str, Any]:
    try:
        if request["namespace"]:
            jail.enter_namespace(tree)
        else:
            jail.enter(tree)
        root = os.open("/", _DIRECTORY)
        return {"done": JOBS[request["job"]](root, request["arguments"], fds)}
    except ArchiveRefused as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"errno": errno.ENOMEM, "message": "the archive takes too much memory"}
    except OSError as error:
        return {"errno": error.errno or errno.EIO, "message": _described(error)}
    except Exception as error:  # noqa: BLE001 (the answer to the daemon, which raises it)
        return {"failed": f"{type(error).__name__}: {error}"}


def _described(error: OSError) -> str:
    name = error.filename
    if isinstance(name, bytes):
        name = name.decode(errors="backslashreplace")
    reason = os_errors.reason(error)
    return f"{name}: {reason}" if isinstance(name, str) else reason


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
