"""How long an engine takes to answer `/_ping` while it does something else.

Asked from a process of its own, so that nothing in the test is in the way. What is counted is the time for which the
engine itself is answerable: not that in which its threads, or the asker, were ready to run and had no CPU. So a busy
machine does not make an engine look slow, and an engine that works or waits where it should answer does.
"""

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compat_tests.clients.daemon import REPOSITORY, Daemon

_PAUSE = 0.004
_REQUEST = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"


@contextmanager
def pings(daemon: Daemon) -> Iterator[list[float]]:
    """The list holds milliseconds, one for each answer, when the block is over."""
    answers: list[float] = []
    argv = [sys.executable, "-m", "compat_tests.clients.pings", str(daemon.socket), str(daemon.pid)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield answers
        process.stdin.close()
        answers += json.loads(process.stdout.read())


def _main(path: str, pid: str) -> None:
    found = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        _ask(connection)
        print(flush=True)
        while not select.select([sys.stdin], [], [], _PAUSE)[0]:
            found.append(_one(connection, pid))
    print(json.dumps(found))


def _one(connection: socket.socket, pid: str) -> float:
    before = _delays(pid) | _delays("self")
    began = time.monotonic()
    _ask(connection)
    took = time.monotonic() - began
    after = _delays(pid) | _delays("self")
    waited = sum(delay - before.get(thread, 0) for thread, delay in after.items())
    return max(took * 1000 - waited / 1_000_000, 0.0)


def _ask(connection: socket.socket) -> None:
    connection.sendall(_REQUEST)
    answer = b""
    while not answer.endswith(b"OK"):
        answer += connection.recv(4096)


def _delays(pid: str) -> dict[str, int]:
    """Nanoseconds that each thread of a process has been ready to run and did not (kernel doc "sched-stats")."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            found[str(thread)] = int((thread / "schedstat").read_text().split()[1])
        except OSError:
            continue
    return found


if __name__ == "__main__":
    _main(*sys.argv[1:])
