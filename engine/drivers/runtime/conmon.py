"""conmon, the monitor of each container and exec: how it is started, what it leaves behind.

It holds the standard streams, the terminal, the log and the exit code, and outlives the daemon. Owns the directory
`<run>/conmon`: `exits/<container id>` are exit codes, `exec/<exec id>/` the sockets and files of execs. What is said
over the attach socket is `console.py`'s.
"""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.drivers.linux.pidfd import wait_exit
from engine.drivers.runtime import console, failures
from engine.drivers.runtime.configuration import encoded
from engine.drivers.runtime.console import Console
from engine.drivers.runtime.monitor import Message, Monitor, reap
from engine.drivers.runtime.oci import ENVIRONMENT, OciRuntime

_LONGEST_SOCKET_DIRECTORY = 80
_EXEC_LOG = "runtime.log"


@dataclass(frozen=True, slots=True)
class MonitorOptions:
    """A container to be created from the bundle. Without `log_path` nothing is logged.

    `leave_stdin_open`: a client that goes away does not end the container's input. `checkpoint`: the processes that
    criu wrote there go on, and there is nothing to be started.
    """

    container_id: str
    bundle: Path
    log_path: Path | None = None
    tty: bool = False
    stdin: bool = False
    leave_stdin_open: bool = False
    checkpoint: Path | None = None


@dataclass(frozen=True, slots=True)
class ExecOptions:
    """A further process in a running container. `attached`: its streams are wanted."""

    exec_id: str
    container_id: str
    command: str
    tty: bool = False
    stdin: bool = False
    attached: bool = False


@dataclass(frozen=True, slots=True)
class Monitored:
    """Host pids of a process and of its monitor, which ends after it."""

    pid: int
    monitor_pid: int


class _ExecConfig(msgspec.Struct):
    args: list[str] = []


class _LogLine(msgspec.Struct):
    msg: str = ""


class _Bundle(msgspec.Struct):
    process: _ExecConfig = msgspec.field(default_factory=_ExecConfig)


class PendingExec:
    """An exec that has yet to be let go, so that a client can be there before its first byte."""

    def __init__(self, launch: "_ExecLaunch", console: Console | None) -> None:
        self._launch = launch
        self._console = console

    @property
    def console(self) -> Console:
        """The streams; of attached execs only."""
        if self._console is None:
            raise ValueError("the exec is detached: it has no console")
        return self._console

    async def go(self) -> Monitored:
        """Run the process. Raises RuntimeFailed."""
        return await self._launch.finish()

    async def abandon(self) -> None:
        """Forget an exec that was never let go."""
        if self._console is not None:
            self._console.close()
        await self._launch.abandon()

    async def resize(self, height: int, width: int) -> None:
        """Set the terminal's size in characters."""
        await console.resize(self._launch.directory / "ctl", height, width)


class Conmon:
    """Starts monitors and knows what became of what they monitored."""

    def __init__(self, directory: Path, spool: Path, program: str = "conmon") -> None:
        """`directory` lives as long as the host runs; `spool`, on a disk, has output that clients have yet to read."""
        self._exits = directory / "exits"
        self._execs = directory / "exec"
        self._spool = spool
        self._program = shutil.which(program, path=ENVIRONMENT["PATH"]) or program
        self._children: dict[str, int] = {}
        self._reapers: set[asyncio.Task[None]] = set()
        self._environment = {**ENVIRONMENT, "TMPDIR": _socket_directory(directory)}

    def prepare(self) -> None:
        """Make the directories, and forget execs that ended while no daemon was there. Blocks; call in a thread."""
        for directory in (self._exits, self._execs, self._spool):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._execs.parent.glob("conmon-term.*"):
            left.unlink(missing_ok=True)
        for directory in self._execs.iterdir():
            if not _listens(directory / "attach"):
                shutil.rmtree(directory, ignore_errors=True)

    async def create(self, runtime: OciRuntime, options: MonitorOptions) -> Monitored:
        """Create a container: its process waits for `OciRuntime.start`. Raises RuntimeFailed, OSError."""
        (self._exits / options.container_id).unlink(missing_ok=True)
        monitor = await Monitor.start(self._create_command(runtime, options), self._environment)
        try:
            pid = await monitor.created_pid()
            if isinstance(pid, Message):
                if not pid.message:
                    raise await monitor.vanished()
                if options.checkpoint:
                    raise failures.restore_failed(pid.message)
                command = await asyncio.to_thread(_command, options.bundle)
                raise failures.create_failed(pid.message, command)
        except BaseException:
            await asyncio.shield(monitor.end())
            raise
        finally:
            monitor.close()
        self._children[options.container_id] = monitor.pid
        return Monitored(pid, monitor.pid)

    def _create_command(self, runtime: OciRuntime, options: MonitorOptions) -> list[str]:
        bundle = options.bundle
        command = self._command(runtime, options.container_id, options.container_id, bundle)
        command += ["--exit-dir", str(self._exits)]
        command += ["--log-path", f"k8s-file:{options.log_path}" if options.log_path else "none"]
        if options.checkpoint:
            command += ["--restore", str(options.checkpoint)]
        # conmon ends a terminal's input for good when any client leaves; Docker never does.
        return command + _stream_flags(options.tty, options.stdin, options.leave_stdin_open or options.tty)

    def _command(self, runtime: OciRuntime, container_id: str, own_id: str, directory: Path) -> list[str]:
        program = [self._program, "--sync", "--api-version", "1", "--no-sync-log", "--full-attach"]
        identity = ["--cid", container_id, "--cuuid", own_id, "--bundle", str(directory)]
        files = ["--container-pidfile", str(directory / "init.pid")]
        arguments = [word for argument in runtime.arguments for word in ("--runtime-arg", argument)]
        return [*program, *identity, *files, "--runtime", runtime.executable, *arguments]

    def exit_code(self, container_id: str) -> int | None:
        """Return the exit code of a container that has ended, or None. Blocks; call in a thread."""
        self._reap(container_id)
        return _read_code(self._exits / container_id)

    def forget(self, container_id: str) -> None:
        """Drop a container's exit code, once it is recorded elsewhere."""
        (self._exits / container_id).unlink(missing_ok=True)
        # conmon notes a container that ran out of memory in its working directory, under this name for all.
        Path("oom").unlink(missing_ok=True)
        self._release(container_id)

    def _reap(self, own_id: str) -> bool:
        pid = self._children.get(own_id)
        if pid is None:
            return True
        if reap(pid):
            self._children.pop(own_id, None)
            return True
        return False

    def _release(self, own_id: str) -> None:
        """Reap a monitor now or as soon as it ends."""
        if self._reap(own_id):
            return
        task = asyncio.get_running_loop().create_task(self._reap_later(self._children.pop(own_id)))
        self._reapers.add(task)
        task.add_done_callback(self._reapers.discard)

    async def _reap_later(self, pid: int) -> None:
        await wait_exit(pid)
        reap(pid)

    async def prepare_exec(
        self, runtime: OciRuntime, options: ExecOptions, process: Callable[[], Awaitable[Mapping[str, Any]]]
    ) -> PendingExec:
        """Make everything ready for a process in a running container. `process` makes its OCI object.

        Raises RuntimeFailed, OSError and what `process` raises. Makes a directory in memory.
        """
        directory = self._execs / options.exec_id
        directory.mkdir(mode=0o700, parents=True)
        launch = _ExecLaunch(self, options, directory, self._exec_command(runtime, options, directory))
        try:
            # The monitor takes its time to start, and needs nothing of the process for that.
            started = [launch.start()] if options.attached else []
            for outcome in await asyncio.gather(launch.write(process), *started, return_exceptions=True):
                if outcome is not None:
                    raise outcome
            return PendingExec(launch, await launch.connect(self._spool) if options.attached else None)
        except BaseException:
            await asyncio.shield(launch.abandon())
            raise

    def _exec_command(self, runtime: OciRuntime, options: ExecOptions, directory: Path) -> list[str]:
        command = self._command(runtime, options.container_id, options.exec_id, directory)
        command += ["--exec", "--exec-process-spec", str(directory / "process.json"), "--persist-dir", str(directory)]
        command += ["--log-path", "none", *(["--exec-attach"] if options.attached else [])]
        for argument in (f"--log={directory / _EXEC_LOG}", "--log-format=json"):
            command += ["--runtime-arg", argument]
        return command + _stream_flags(options.tty, options.stdin, options.tty)

    async def start_monitor(self, command: Sequence[str], *, attached: bool) -> Monitor:
        """Start the monitor of an exec. Raises OSError."""
        return await Monitor.start(command, self._environment, attached_exec=attached)

    def adopt(self, exec_id: str, monitor_pid: int) -> None:
        """Note the monitor of a running exec, to be reaped by `exec_exit_code` or `forget_exec`."""
        self._children[exec_id] = monitor_pid

    def exec_exit_code(self, exec_id: str) -> int | None:
        """Return the exit code of an exec that has ended, or None. Reads a small file in memory."""
        self._reap(exec_id)
        return _read_code(self._execs / exec_id / "exit")

    def forget_exec(self, exec_id: str) -> None:
        """Remove what an ended exec left. Removes a few small files in memory."""
        self._release(exec_id)
        shutil.rmtree(self._execs / exec_id, ignore_errors=True)

    async def close(self) -> None:
        """Stop waiting for monitors to be reaped; init will."""
        for task in self._reapers:
            task.cancel()
        await asyncio.gather(*self._reapers, return_exceptions=True)


class _ExecLaunch:
    """The steps of one exec's start."""

    def __init__(self, conmon: Conmon, options: ExecOptions, directory: Path, command: Sequence[str]) -> None:
        self.directory = directory
        self._conmon = conmon
        self._options = options
        self._command = command
        self._monitor: Monitor | None = None

    async def write(self, process: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        """Write down what is to run. Raises OSError and what `process` raises."""
        await asyncio.to_thread(_write_exec, self.directory, await process())

    async def start(self) -> None:
        """Start the monitor of an attached exec, which waits. Raises OSError."""
        self._monitor = await self._conmon.start_monitor(self._command, attached=True)

    async def connect(self, spool: Path) -> Console:
        """Let the monitor go as far as its attach socket, and connect to that. Raises RuntimeFailed, OSError."""
        if self._monitor is None:
            raise ValueError("the exec is detached: it has no console")
        self._monitor.proceed()
        await self._monitor.attachable()
        return await Console.connect(self.directory / "attach", spool)

    async def finish(self) -> Monitored:
        """Let the process run. Raises RuntimeFailed, OSError."""
        monitor = self._monitor or await self._conmon.start_monitor(self._command, attached=False)
        self._monitor = monitor
        try:
            if self._options.attached:
                monitor.proceed()
            pid = await monitor.created_pid()
            if isinstance(pid, Message):
                # On a terminal, crun has told it to the terminal only, and to its log.
                reason = pid.message or await asyncio.to_thread(_logged, self.directory / _EXEC_LOG)
                if not reason:
                    raise await monitor.vanished()
                raise failures.exec_failed(reason, self._options.command)
        except BaseException:
            await asyncio.shield(self.abandon())
            raise
        monitor.close()
        self._conmon.adopt(self._options.exec_id, monitor.pid)
        return Monitored(pid, monitor.pid)

    async def abandon(self) -> None:
        """End the monitor and remove the exec's files."""
        if self._monitor is not None:
            await self._monitor.end()
            self._monitor.close()
            self._monitor = None
        self._conmon.forget_exec(self._options.exec_id)


def _stream_flags(tty: bool, stdin: bool, leave_open: bool) -> list[str]:
    flags = [("--terminal", tty), ("--stdin", stdin), ("--leave-stdin-open", stdin and leave_open)]
    return [flag for flag, wanted in flags if wanted]


def _write_exec(directory: Path, process: Mapping[str, Any]) -> None:
    """Blocks; call in a thread."""
    (directory / "process.json").write_bytes(encoded(process))


def _command(bundle: Path) -> str:
    """Return the program that a bundle's process runs. Blocks; call in a thread."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        args = msgspec.json.decode((bundle / "config.json").read_bytes(), type=_Bundle).process.args
        return args[0] if args else ""
    return ""


def _logged(path: Path) -> str:
    """Return the last message in a runtime's log, or nothing. Blocks; call in a thread."""
    with contextlib.suppress(OSError, IndexError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes().splitlines()[-1], type=_LogLine).msg
    return ""


def _read_code(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _socket_directory(directory: Path) -> str:
    """Where conmon makes its short-lived terminal socket: a private directory whose path fits into an address."""
    path = str(directory)
    return path if len(path) <= _LONGEST_SOCKET_DIRECTORY else "/run"


def _listens(path: Path) -> bool:
    """Tell whether a monitor is behind an attach socket. Blocks; call in a thread."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        try:
            console.connect_socket(probe, path)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True
