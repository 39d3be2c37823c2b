"""`docker exec`: further processes in a running container, each under a monitor of its own.

Exec instances live as long as their container runs and the daemon remembers them; a restarted daemon forgets them, as
dockerd does, while their processes run on.
"""

import asyncio
import contextlib
import functools
import logging
import os
import signal

import msgspec

from engine.core import ids
from engine.core.errors import WharfError
from engine.core.model.container import Container, Status
from engine.core.model.exec import Exec, ExecConfig
from engine.domain.containers import detach_keys
from engine.domain.containers.announce import Announcer
from engine.domain.containers.bridge import Client, Ending, Wanted, carry
from engine.domain.containers.exec_process import ExecProcess
from engine.domain.containers.failures import (
    ContainerPaused,
    ExecAlreadyRan,
    ExecAlreadyRunning,
    ExecNotFound,
    ExecNotRunning,
    InvalidEscapeKeys,
    NoExecCommand,
    NotRunning,
    UnusableExecUser,
)
from engine.domain.containers.launch_failures import as_exec_failure
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.users import IdOutOfRange, UnableToFindGroup, UnableToFindUser
from engine.drivers.linux.pidfd import ExitWatch
from engine.drivers.runtime.conmon import Conmon, ExecOptions, PendingExec
from engine.drivers.runtime.failures import RuntimeFailed

log = logging.getLogger(__name__)
_KEEP_ENDED = 300.0
_KEEP_FILES = 0.05
_CANNOT_RUN = 126


class Execs:
    """All exec instances."""

    def __init__(self, table: ContainerTable, process: ExecProcess, conmon: Conmon, announcer: Announcer) -> None:
        self._table = table
        self._process = process
        self._conmon = conmon
        self._announcer = announcer
        self._execs: dict[str, Exec] = {}
        self._ended: dict[str, asyncio.Event] = {}
        self._running: dict[str, asyncio.Event] = {}
        self._watches: dict[str, ExitWatch] = {}
        self._pending: dict[str, PendingExec] = {}

    async def create(self, reference: str, config: ExecConfig) -> Exec:
        """Make an exec instance of a running container.

        Raises NoExecCommand, NotRunning, ContainerPaused, InvalidEscapeKeys, UnusableExecUser.
        """
        container = self._runnable(reference)
        if not config.cmd:
            raise NoExecCommand
        await self._require_valid(container, config)
        instance = Exec(id=ids.new_id(), container_id=container.id, config=config, run=container.state.started_at)
        self._execs[instance.id] = instance
        self._ended[instance.id] = asyncio.Event()
        self._running[instance.id] = asyncio.Event()
        self._tell(instance, f"exec_create: {_shown(config)}")
        return instance

    def expect(self, container: Container) -> None:
        """Make ready for a process that a client may want to run: the CLI looks at a container before it execs."""
        if container.state.status is Status.RUNNING:
            self._process.expect()

    async def _require_valid(self, container: Container, config: ExecConfig) -> None:
        """A user that does not exist is found out here, while there is a status to tell it with."""
        try:
            detach_keys.parse(config.detach_keys)
            await self._process.build(container, config)
        except detach_keys.InvalidDetachKeys as error:
            raise InvalidEscapeKeys(config.detach_keys) from error
        except (UnableToFindUser, UnableToFindGroup, IdOutOfRange) as error:
            raise UnusableExecUser(str(error)) from error

    def _runnable(self, reference: str) -> Container:
        container = self._table.get(reference)
        if container.state.status is Status.PAUSED:
            raise ContainerPaused(reference)
        if container.state.status is not Status.RUNNING:
            raise NotRunning(container.id)
        return container

    def get(self, exec_id: str) -> Exec:
        """Return an exec instance. Raises ExecNotFound."""
        fitting = [exec_id] if exec_id in self._execs else ids.matching(exec_id, self._execs)
        if len(fitting) != 1 or self._outlived(self._execs[fitting[0]]):
            raise ExecNotFound(exec_id)
        return self._execs[fitting[0]]

    def _outlived(self, instance: Exec) -> bool:
        """An instance that was never started goes with the run of its container."""
        if instance.started:
            return False
        container = self._table.find(instance.container_id)
        return container is None or not container.state.running or container.state.started_at != instance.run

    def of_container(self, container_id: str) -> list[str]:
        """Return the ids of a container's exec instances that have not ended."""
        mine = (e for e in self._execs.values() if e.container_id == container_id and e.exit_code is None)
        return [e.id for e in mine if not self._outlived(e)]

    def require_startable(self, exec_id: str) -> Exec:
        """Return an instance that can be started. Raises ExecNotFound, NotRunning, ContainerPaused."""
        instance = self.get(exec_id)
        self._runnable(instance.container_id)
        return instance

    def set_console_size(self, exec_id: str, size: tuple[int, int]) -> None:
        """Note the size (height, width) that the terminal begins with."""
        config = msgspec.structs.replace(self._execs[exec_id].config, console_size=size)
        self._replace(exec_id, config=config)

    async def run_detached(self, instance: Exec) -> None:
        """Start the process and return. Raises LaunchFailed, ExecAlreadyRunning."""
        pending = await self._prepare(instance, attached=False)
        await self._go(instance, pending)

    async def run_attached(self, instance: Exec, client: Client) -> None:
        """Start the process with its streams on the client and return when they have ended.

        Raises LaunchFailed, ExecAlreadyRunning before anything is sent.
        """
        instance = self._execs[instance.id]
        config = instance.config
        pending = await self._prepare(instance, attached=True)
        keys = detach_keys.parse(config.detach_keys) if config.tty else b""
        wanted = Wanted(config.attach_stdin, config.attach_stdout, config.attach_stderr, keys)
        carrying = asyncio.ensure_future(carry(pending.console, client, wanted))
        try:
            await self._go(instance, pending)
            ending = await carrying
        finally:
            carrying.cancel()
            pending.console.close()
        if ending is Ending.DETACHED:
            self._tell(instance, "exec_detach")
        elif ending is Ending.OUTPUT_ENDED:
            # The client asks for the exit code the moment its stream ends: it must be there then.
            await self._ended[instance.id].wait()

    async def _prepare(self, instance: Exec, *, attached: bool) -> PendingExec:
        if instance.started:
            raise ExecAlreadyRunning(instance.id) if instance.exit_code is None else ExecAlreadyRan(instance.id)
        self._replace(instance.id, started=True)
        self._tell(instance, f"exec_start: {_shown(instance.config)}")
        container = self._runnable(instance.container_id)
        try:
            options = ExecOptions(
                exec_id=instance.id,
                container_id=container.id,
                command=next(iter(instance.config.cmd or ()), ""),
                tty=instance.config.tty,
                stdin=instance.config.attach_stdin,
                attached=attached,
            )
            process = functools.partial(self._process.build, container, instance.config)
            return await self._conmon.prepare_exec(self._process.runtime(container), options, process)
        except (OSError, WharfError):
            self._failed(instance.id)
            raise

    async def _go(self, instance: Exec, pending: PendingExec) -> None:
        try:
            started = await pending.go()
        except RuntimeFailed as error:
            failure = as_exec_failure(error)
            self._failed(instance.id, failure.exit_code)
            raise failure from error
        except BaseException:
            self._failed(instance.id)
            raise
        self._replace(instance.id, running=True, pid=started.pid, monitor_pid=started.monitor_pid)
        self._process.started(started.monitor_pid)
        self._pending[instance.id] = pending
        self._watches[instance.id] = ExitWatch(started.monitor_pid, lambda: self._exited(instance.id))
        self._running[instance.id].set()

    def _failed(self, exec_id: str, exit_code: int = _CANNOT_RUN) -> None:
        self._replace(exec_id, running=False, exit_code=exit_code)
        self._running[exec_id].set()
        self._finish(exec_id)

    def _exited(self, exec_id: str) -> None:
        code = self._conmon.exec_exit_code(exec_id)
        instance = self._replace(exec_id, running=False, exit_code=_CANNOT_RUN if code is None else code)
        self._tell(instance, "exec_die", exitCode=str(instance.exit_code))
        self._finish(exec_id)
        # After the answer to the client, who waits for it; a daemon killed before sweeps them at its next start.
        asyncio.get_running_loop().call_later(_KEEP_FILES, self._conmon.forget_exec, exec_id)

    def _finish(self, exec_id: str) -> None:
        self._watches.pop(exec_id, None)
        self._pending.pop(exec_id, None)
        self._ended[exec_id].set()
        asyncio.get_running_loop().call_later(_KEEP_ENDED, self._forget, exec_id)

    def _forget(self, exec_id: str) -> None:
        for collection in (self._execs, self._ended, self._running):
            collection.pop(exec_id, None)

    async def resize(self, exec_id: str, height: int, width: int) -> None:
        """Set the terminal's size, when the process runs; the CLI asks for it while the start is under way."""
        instance = self.get(exec_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await self._running[instance.id].wait()
        pending = self._pending.get(instance.id)
        if pending is None:
            raise ExecNotRunning(exec_id)
        await pending.resize(height, width)

    def kill(self, exec_id: str) -> None:
        """Kill the process, where it runs."""
        instance = self._execs.get(exec_id)
        if instance is not None and instance.running and instance.pid > 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(instance.pid, signal.SIGKILL)

    def _replace(self, exec_id: str, **fields: object) -> Exec:
        changed = msgspec.structs.replace(self._execs[exec_id], **fields)
        self._execs[exec_id] = changed
        return changed

    def _tell(self, instance: Exec, action: str, **attributes: str) -> None:
        container = self._table.find(instance.container_id)
        if container is not None:
            self._announcer.container(container, action, execID=instance.id, **attributes)

    def close(self) -> None:
        """Stop watching; the processes run on."""
        for watch in self._watches.values():
            watch.close()


def _shown(config: ExecConfig) -> str:
    """dockerd writes the program, a blank, and the arguments, of which there may be none."""
    program, *arguments = config.cmd or [""]
    return f"{program} {' '.join(arguments)}"
