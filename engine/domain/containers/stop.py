"""Stop, kill, restart, pause: signals to a running container."""

import asyncio
import contextlib
import signal as signals

from engine.core.model.container import Container, Status
from engine.core.signals import parse_signal
from engine.domain.containers.announce import Announcer
from engine.domain.containers.failures import (
    AlreadyPaused,
    CannotKill,
    CannotKillMissing,
    CannotStop,
    ContainerNotFound,
    NotPaused,
    NotRunning,
    RestartingCannotPause,
    Unchanged,
)
from engine.domain.containers.launch_failures import LaunchFailed
from engine.domain.containers.runner import Runner
from engine.domain.containers.supervisor import Supervisor
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.wait import Condition, Exit, Waits

_DEFAULT_TIMEOUT = 10
_KILL_PATIENCE = 10


class Stopper:
    """Ends and freezes containers."""

    def __init__(
        self, table: ContainerTable, runner: Runner, supervisor: Supervisor, waits: Waits, announcer: Announcer
    ) -> None:
        self._table = table
        self._runner = runner
        self._supervisor = supervisor
        self._waits = waits
        self._announcer = announcer

    async def stop(self, reference: str, timeout: int | None = None, signal: str = "") -> None:
        """Signal a container to end and kill it after `timeout` seconds (negative: never).

        Raises Unchanged where it does not run, InvalidParameter for an unknown signal.
        """
        container = self._table.get(reference)
        if not container.state.running:
            raise Unchanged
        await self._table.change(container.id, stopped_by_user=True)
        number = _stop_signal(container, signal)
        with self._supervisor.stopping(container):
            await self._halt(container, _patience(container, timeout), number)

    async def _halt(self, container: Container, patience: int | None, number: int) -> None:
        """End a container for good: one that ends by itself may be due for a restart, or started again, at any moment.

        Raises CannotStop.
        """
        while (present := self._table.find(container.id)) is not None and present.state.running:
            if present.state.status is Status.RESTARTING:
                await self._supervisor.rest(present)
            elif not await self._end(present, patience, number):
                raise CannotStop(container.id)

    async def _end(self, container: Container, patience: int | None, number: int) -> bool:
        """Signal, and kill after `patience` seconds; tell whether the process has ended."""
        exited = self._waits.arm(container, Condition.NEXT_EXIT)
        try:
            if not self._runs(container):
                return True
            await self._send(container, number)
            if await _within(exited, patience):
                return True
            await self._send(container, signals.SIGKILL)
            if await _within(exited, _KILL_PATIENCE):
                return True
            await self._runner.kill_all(container)
            return await _within(exited, _KILL_PATIENCE)
        finally:
            exited.cancel()

    def _runs(self, container: Container) -> bool:
        present = self._table.find(container.id)
        return present is not None and present.state.status in (Status.RUNNING, Status.PAUSED)

    async def _send(self, container: Container, number: int) -> None:
        present = self._table.find(container.id)
        if present is None or present.state.status not in (Status.RUNNING, Status.PAUSED):
            return
        # A process that is gone already needs no signal: its end is on its way here.
        with contextlib.suppress(NotRunning):
            await self._runner.signal(present, number)
        self._announcer.container(present, "kill", signal=str(number))
        if present.state.status is Status.PAUSED:
            # A frozen process cannot act on a signal: thaw it, as dockerd does. On cgroup v2, SIGKILL has ended it.
            with contextlib.suppress(NotRunning):
                await self._thaw(present)

    async def kill(self, reference: str, signal: str = "") -> None:
        """Send a signal (default KILL). Raises CannotKill, CannotKillMissing, InvalidParameter."""
        try:
            container = self._table.get(reference)
        except ContainerNotFound:
            raise CannotKillMissing(reference) from None
        number = parse_signal(signal or "KILL", prefix=f"cannot kill container: {reference}: ")
        if not container.state.running:
            raise CannotKill(reference, str(NotRunning(container.id)))
        if number in (signals.SIGKILL, _stop_signal(container, "")):
            await self._table.change(container.id, stopped_by_user=True)
        if container.state.status is Status.RESTARTING:
            await self._supervisor.rest(container)
            return
        try:
            await self._kill_and_see(container, number)
        except NotRunning as error:
            raise CannotKill(reference, str(error)) from error

    async def _kill_and_see(self, container: Container, number: int) -> None:
        exited = self._waits.arm(container, Condition.NEXT_EXIT)
        try:
            if number == signals.SIGKILL:
                await self._send(container, number)
                await _within(exited, _KILL_PATIENCE)
            else:
                await self._runner.signal(container, number)
                self._announcer.container(container, "kill", signal=str(number))
        finally:
            exited.cancel()

    async def kill_for_removal(self, container: Container) -> None:
        """End a container at once, whatever its state, and return when it has ended."""
        await self._table.change(container.id, stopped_by_user=True)
        await self._halt(container, _KILL_PATIENCE, signals.SIGKILL)

    async def restart(self, reference: str, timeout: int | None = None, signal: str = "") -> None:
        """Stop, where it runs, and start. Raises as stop and start do."""
        container = self._table.get(reference)
        if container.state.running:
            await self._table.change(container.id, stopped_by_user=True)
            # A restart is no reason to remove a container that was run with --rm.
            with self._supervisor.kept(container.id), self._supervisor.stopping(container):
                await self._halt(container, _patience(container, timeout), _stop_signal(container, signal))
        try:
            with contextlib.suppress(Unchanged):
                await self._supervisor.start(container.id)
        except LaunchFailed as failure:
            raise LaunchFailed(f"Cannot restart container {reference}: {failure}", failure.exit_code) from failure
        self._announcer.container(self._table.get(container.id), "restart")

    async def pause(self, reference: str) -> None:
        """Freeze all processes. Raises NotRunning, AlreadyPaused, RestartingCannotPause."""
        container = self._table.get(reference)
        async with self._table.lock(container.id):
            container = self._table.get(container.id)
            if not container.state.running:
                raise NotRunning(container.id)
            if container.state.status is Status.PAUSED:
                raise AlreadyPaused(container.id)
            if container.state.status is Status.RESTARTING:
                raise RestartingCannotPause(container.id)
            await self._runner.freeze(container)
            await self._table.change_state(container.id, status=Status.PAUSED)
        self._announcer.container(container, "pause")

    async def unpause(self, reference: str) -> None:
        """Thaw. Raises NotPaused."""
        container = self._table.get(reference)
        if container.state.status is not Status.PAUSED:
            raise NotPaused(container.id)
        await self._thaw(container)

    async def _thaw(self, container: Container) -> None:
        async with self._table.lock(container.id):
            present = self._table.get(container.id)
            if present.state.status is not Status.PAUSED:
                return
            await self._runner.thaw(present)
            await self._table.change_state(container.id, status=Status.RUNNING)
        self._announcer.container(container, "unpause")


async def _within(exited: asyncio.Future[Exit], seconds: int | None) -> bool:
    done, _ = await asyncio.wait((exited,), timeout=seconds)
    return bool(done)


def _patience(container: Container, timeout: int | None) -> int | None:
    if timeout is None:
        configured = container.config.stop_timeout
        timeout = _DEFAULT_TIMEOUT if configured is None else configured
    return None if timeout < 0 else timeout


def _stop_signal(container: Container, override: str) -> int:
    return parse_signal(override or container.config.stop_signal or "TERM")
