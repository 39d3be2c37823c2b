"""The one way to run another program: no shell, no inherited descriptors, no blocking of the event loop.

`posix_spawn` starts it (the daemon's memory is not copied), a pidfd tells of its end, output is read on the loop.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.drivers.linux.duplicate import duplicated
from engine.drivers.linux.output_pipe import OutputPipe
from engine.drivers.linux.pidfd import wait_exit
from engine.drivers.linux.spawn import posix_spawnp
from engine.drivers.linux.spawner import Spawner

_LIMIT = 16 << 20
# Open descriptors from which on the detour over the spawner is the shorter way.
_MANY = 1500

_spawner = Spawner()


@dataclass(frozen=True, slots=True)
class Completed:
    """A program's end: exit status (negative: killed by that signal) and what it wrote."""

    args: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def error(self) -> str:
        """What it wrote to its standard error, stripped."""
        return self.stderr.decode(errors="replace").strip()


class ProgramFailed(OSError):
    """A program ended with an exit status other than zero."""

    def __init__(self, completed: Completed) -> None:
        super().__init__(f"{completed.args[0]}: {completed.error or f'exit status {completed.returncode}'}")
        self.completed = completed


class _Collected(OutputPipe):
    """Keeps what arrives, at most _LIMIT bytes."""

    def __init__(self) -> None:
        super().__init__(self._keep)
        self._parts: list[bytes] = []
        self._size = 0

    def _keep(self, data: bytes) -> None:
        if self._size < _LIMIT:
            self._parts.append(data)
            self._size += len(data)

    @property
    def data(self) -> bytes:
        return b"".join(self._parts)


def spawn(
    argv: Sequence[str], files: Mapping[int, int], env: Mapping[str, str] | None = None, *, new_session: bool = False
) -> int:
    """Start a program and return its pid. `files` maps the child's descriptor numbers to ours; others are closed.

    Raises FileNotFoundError, PermissionError. The caller must reap the child. Blocks; call in a thread.
    """
    variables = os.environ if env is None else env
    with duplicated(files) as held:
        # The kernel gives the lowest number that is free.
        if held and max(held)[0] > _MANY:
            return _spawner.spawn(argv, files, variables, new_session=new_session)
        return posix_spawnp(argv, held, variables, new_session=new_session)


async def start(argv: Sequence[str], files: Mapping[int, int], env: Mapping[str, str] | None = None) -> int:
    """Start a program as `spawn` does, off the event loop. A cancelled caller ends the program.

    Raises FileNotFoundError, PermissionError.
    """
    spawning = asyncio.ensure_future(asyncio.to_thread(spawn, argv, files, env))
    try:
        return await asyncio.shield(spawning)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            pid = await spawning
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(os.waitpid, pid, 0)
        raise


async def reap(pid: int) -> int:
    """Wait for our own child and return its exit status, negative for a signal. A cancelled caller kills it."""
    try:
        await wait_exit(pid)
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, pid, 0)
        raise
    return os.waitstatus_to_exitcode(_status(pid))


def _status(pid: int) -> int:
    """Collect a child that has ended already; waitpid returns at once."""
    return os.waitpid(pid, 0)[1]


async def run(
    argv: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> Completed:
    """Run a program to its end. `pass_fds` keep their numbers in the child; a cancelled caller kills the program.

    Raises FileNotFoundError or PermissionError where it cannot be started; a failing exit status is not an error here.
    """
    out, err = _Collected(), _Collected()
    source = _input(stdin)
    try:
        files = {0: source, 1: out.child_end, 2: err.child_end, **{fd: fd for fd in pass_fds}}
        pid = await start(argv, files, env)
    except BaseException:
        out.abandon()
        err.abandon()
        raise
    finally:
        os.close(source)
    out.start()
    err.start()
    try:
        returncode = await reap(pid)
        await asyncio.wait((out.ended, err.ended), timeout=5)
    finally:
        out.close()
        err.close()
    return Completed(tuple(argv), returncode, out.data, err.data)


def _input(data: bytes) -> int:
    if not data:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


async def check(argv: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Completed:
    """Run a program that must succeed. Raises ProgramFailed with what it wrote to standard error."""
    completed = await run(argv, stdin=stdin, env=env)
    if completed.returncode != 0:
        raise ProgramFailed(completed)
    return completed
