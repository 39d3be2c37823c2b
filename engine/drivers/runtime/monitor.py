"""One conmon process as seen from the daemon that starts it: its pipes, its messages, its end.

conmon is told three descriptors by environment variables (conmon, `parent_pipe_fd.c`): on _OCI_SYNCPIPE it tells the
pid of what the runtime created, or why there is none; on _OCI_ATTACHPIPE that its attach socket is there; from
_OCI_STARTPIPE it reads before it goes on. With `--sync` it remains our child, so its pid is ours to know and cannot be
reused before we have asked for its end; when the daemon dies, init takes it over.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine, Mapping, Sequence

import msgspec

from engine.drivers.linux import proc
from engine.drivers.linux.pidfd import wait_exit
from engine.drivers.runtime.failures import RuntimeFailed

_SYNC, _START, _ATTACH = 3, 4, 5
_CHUNK = 65536
_MAX_COMPLAINT = 4096
_PATIENCE = 10.0


class Message(msgspec.Struct, frozen=True):
    """A line on the sync or attach pipe: a pid, or a negative number and the reason."""

    data: int = -1
    pid: int | None = None
    message: str = ""

    @property
    def value(self) -> int:
        """The number, by whichever key this conmon sends it."""
        return self.data if self.pid is None else self.pid


class _Inbox:
    """The reading end of a pipe on which conmon sends one line."""

    def __init__(self) -> None:
        self.fd, self.far_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.far_end, True)
        self._data = b""

    async def receive(self) -> Message | None:
        """Return the message, or None where conmon ends without one."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self.fd, self._read, ended)
        try:
            await ended
        finally:
            loop.remove_reader(self.fd)
        line, newline, _ = self._data.partition(b"\n")
        try:
            return msgspec.json.decode(line, type=Message) if newline else None
        except msgspec.DecodeError:
            return Message(message=line.decode(errors="replace"))

    def _read(self, ended: asyncio.Future[None]) -> None:
        try:
            data = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return
        self._data += data
        if (not data or b"\n" in data) and not ended.done():
            ended.set_result(None)

    def close_far_end(self) -> None:
        os.close(self.far_end)

    def close(self) -> None:
        os.close(self.fd)


class Monitor:
    """A conmon that was started. `close()` lets go of its pipes, not of the process."""

    def __init__(self, *, attached_exec: bool) -> None:
        """Use `start`."""
        self.pid = 0
        self._sync = _Inbox()
        self._attach = _Inbox() if attached_exec else None
        self._complaints = os.memfd_create("conmon", os.MFD_CLOEXEC)
        self._start = -1

    @classmethod
    async def start(
        cls, argv: Sequence[str], environment: Mapping[str, str], *, attached_exec: bool = False
    ) -> "Monitor":
        """Start one. Raises OSError."""
        monitor = cls(attached_exec=attached_exec)
        start, monitor._start = os.pipe2(os.O_CLOEXEC) if attached_exec else (-1, -1)
        try:
            monitor.pid = await monitor._spawn(argv, environment, start)
        except BaseException:
            monitor.close()
            raise
        finally:
            monitor._sync.close_far_end()
            if monitor._attach:
                monitor._attach.close_far_end()
                os.close(start)
        return monitor

    async def _spawn(self, argv: Sequence[str], environment: Mapping[str, str], start: int) -> int:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        files = {0: null, 1: null, 2: self._complaints, _SYNC: self._sync.far_end}
        variables = {**environment, "_OCI_SYNCPIPE": str(_SYNC)}
        if self._attach:
            files |= {_START: start, _ATTACH: self._attach.far_end}
            variables |= {"_OCI_STARTPIPE": str(_START), "_OCI_ATTACHPIPE": str(_ATTACH)}
        try:
            return await proc.start(argv, files, variables)
        finally:
            os.close(null)

    def proceed(self) -> None:
        """Let an attached exec's conmon go on: first to its attach socket, then to the process."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._start, b"\0")

    async def attachable(self) -> None:
        """Return when the attach socket of an exec is there. Raises RuntimeFailed."""
        message = await self._attach.receive() if self._attach else None
        if message is None:
            raise await self.vanished()

    async def created_pid(self) -> int | Message:
        """Return the pid of what the runtime made, or a message that tells why not: empty where it ends in silence."""
        message = await _to_its_end(self._sync.receive()) or Message()
        return message.value if message.value > 0 else message

    async def vanished(self) -> RuntimeFailed:
        """Return the error for a monitor that ended without saying why."""
        await self.end()
        text = os.pread(self._complaints, _MAX_COMPLAINT, 0).decode(errors="replace").strip()
        return RuntimeFailed(f"the container's monitor (conmon) ended unexpectedly: {text or 'without a reason'}")

    async def end(self) -> None:
        """Make the process end, if it has not, and reap it: nothing came of it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        await wait_exit(self.pid)
        reap(self.pid)

    def close(self) -> None:
        """Close our ends of the pipes."""
        self._sync.close()
        if self._attach:
            self._attach.close()
            os.close(self._start)
        os.close(self._complaints)


async def _to_its_end(receiving: Coroutine[None, None, Message | None]) -> Message | None:
    """Await the message even if the caller is cancelled: an interrupted runtime leaves cgroups that none knows."""
    task = asyncio.ensure_future(receiving)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,), timeout=_PATIENCE)
        task.cancel()
        raise


def reap(pid: int) -> bool:
    """Collect a child that has ended; tell whether there is nothing more to collect of this pid."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
