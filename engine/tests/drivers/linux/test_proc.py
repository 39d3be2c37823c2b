"""Other programs: how they are started, what they inherit, how they end."""

import asyncio
import fcntl
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from engine.drivers.linux import proc, spawner

_SHOW = """
import os, signal, sys
print([fd for fd in range(200, 1000) if os.path.exists(f"/proc/self/fd/{fd}")])
print(os.environ["A"], os.environ.get("HOME"), sys.argv[1:])
print(signal.pthread_sigmask(signal.SIG_BLOCK, []) or "none blocked", signal.getsignal(signal.SIGTERM).name)
print(os.getsid(0) == os.getpid())
"""


def _shown(**options):
    """Run a program that shows what it was given, and return its lines."""
    reader, writer = os.pipe()
    with Path(os.devnull).open("r+b", buffering=0) as null:
        files = {0: null.fileno(), 1: writer, 2: 2}
        pid = proc.spawn([sys.executable, "-I", "-c", _SHOW, "x y", "é"], files, {"A": "b=c"}, **options)
    os.close(writer)
    with os.fdopen(reader) as output:
        text = output.read()
    assert os.waitpid(pid, 0)[1] == 0
    return text.splitlines()


@pytest.fixture(params=["directly", "by the spawner"], autouse=True)
def way(request, monkeypatch):
    """A process with few open descriptors, and one with many."""
    if request.param != "directly":
        monkeypatch.setattr(proc, "_MANY", 0)


def test_what_a_program_gets():
    kept = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 200)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        descriptors, words, signals, leads = _shown()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.close(kept)
    # Where its descriptors were on the way; what our own parent has left open for all is not looked at.
    assert str(kept) not in descriptors
    assert words == "b=c None ['x y', 'é']"
    assert signals == "none blocked SIG_DFL"
    assert leads == "False"


def test_a_session_of_its_own():
    assert _shown(new_session=True)[-1] == "True"


@pytest.mark.parametrize(("program", "error"), [("/nonexistent", FileNotFoundError), ("/etc/passwd", PermissionError)])
async def test_a_program_that_cannot_be_started(program, error):
    with pytest.raises(error, match=program):
        await proc.run([program])


async def test_run_gives_output_and_status():
    done = await proc.run(["sh", "-c", "cat; echo no >&2; exit 3"], stdin=b"in")
    assert (done.returncode, done.stdout, done.error) == (3, b"in", "no")


async def test_the_loop_goes_on_while_a_program_starts(monkeypatch):
    """`spawn` is suspended by the kernel until the child executes its program."""
    seen = []

    def slow(*_, **__):
        seen.append(asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(5))
        raise FileNotFoundError

    loop = asyncio.get_running_loop()
    for module in (proc, spawner):
        monkeypatch.setattr(module, "posix_spawnp", slow)
    with pytest.raises(FileNotFoundError):
        await proc.start(["x"], {})
    assert seen == [None]


async def test_a_cancelled_start_leaves_no_process(monkeypatch):
    pids = []
    started = asyncio.Event()
    loop, spawn = asyncio.get_running_loop(), proc.spawn

    def slow(*arguments):
        loop.call_soon_threadsafe(started.set)
        pids.append(spawn(*arguments))
        return pids[0]

    monkeypatch.setattr(proc, "spawn", slow)
    task = asyncio.ensure_future(proc.start(["sleep", "100"], {0: 0}))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ChildProcessError):
        os.waitpid(pids[0], os.WNOHANG)


def test_the_spawner_keeps_nothing_open():
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = spawner.Spawner().spawn(["true"], {}, {}, new_session=False)
        assert os.waitpid(started, 0)[1] == 0
        address = server.getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_the_spawner_goes_on_after_one_whose_descriptors_cannot_be_sent():
    starter = spawner.Spawner()
    with pytest.raises(OSError, match="Bad file descriptor"):
        starter.spawn(["false"], {0: 1 << 20}, {}, new_session=False)
    assert os.waitpid(starter.spawn(["true"], {}, {}, new_session=False), 0)[1] == 0
