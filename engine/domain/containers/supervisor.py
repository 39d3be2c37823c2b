"""Starts containers, learns of their ends, and decides what follows: restart, removal, or rest.

The one place where a container's state goes from created to running to exited. Each step is written before it is told:
state first, then events, then those who wait.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from pathlib import Path

import msgspec

from engine.core import times
from engine.core.model.container import Container, Sandbox, Status
from engine.domain.containers import restart
from engine.domain.containers.announce import Announcer
from engine.domain.containers.erase import Eraser
from engine.domain.containers.failures import MarkedForRemoval, StartPaused, Unchanged
from engine.domain.containers.launch_failures import LaunchFailed
from engine.domain.containers.network_settings import cleared
from engine.domain.containers.runner import Runner
from engine.domain.containers.start_order import StartOrder
from engine.domain.containers.table import ContainerTable, ended
from engine.domain.containers.wait import Waits
from engine.drivers.linux.pidfd import ExitWatch

log = logging.getLogger(__name__)


class Supervisor:
    """Runs containers. `close()` leaves them running and only stops looking after them."""

    def __init__(
        self, table: ContainerTable, runner: Runner, eraser: Eraser, waits: Waits, announcer: Announcer
    ) -> None:
        self.order = StartOrder(table)
        self._table = table
        self._runner = runner
        self._eraser = eraser
        self._waits = waits
        self._announcer = announcer
        self._watches: dict[str, ExitWatch] = {}
        self._restarts: dict[str, asyncio.Task[None]] = {}
        self._delays: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: set[str] = set()
        self._stopping: set[str] = set()

    @contextlib.contextmanager
    def kept(self, container_id: str) -> Iterator[None]:
        """While this lasts, the end of the container does not remove it, `--rm` or not."""
        self._kept.add(container_id)
        try:
            yield
        finally:
            self._kept.discard(container_id)

    @contextlib.contextmanager
    def stopping(self, container: Container) -> Iterator[None]:
        """While this lasts, the end of the container is told as `stop`, then `die`: the order of dockerd's events."""
        self._stopping.add(container.id)
        try:
            yield
        except BaseException:
            self._stopping.discard(container.id)
            raise
        if container.id in self._stopping:
            # Nothing ran any more: it was waiting for its restart.
            self._stopping.discard(container.id)
            self._announcer.container(self._table.find(container.id) or container, "stop")

    async def start(self, reference: str, checkpoint: Path | None = None) -> None:
        """Start a container, or let it go on from a checkpoint.

        Raises Unchanged where it runs already, StartPaused, MarkedForRemoval, LaunchFailed.
        """
        container = self._table.get(reference)
        async with self._table.lock(container.id):
            container = self._table.get(container.id)
            _require_startable(container)
            self.cancel_restart(container.id)
            self._delays.pop(container.id, None)
            await self._table.change(container.id, stopped_by_user=False, restart_count=0)
            await self._launch(container.id, checkpoint)

    async def _launch(self, container_id: str, checkpoint: Path | None = None) -> None:
        container = self._table.get(container_id)
        try:
            running = await self._runner.launch(container, checkpoint)
        except LaunchFailed as failure:
            await self._not_started(container_id, failure)
            self.order.tried(container_id)
            raise
        await self._table.replace(running)
        self._announcer.container(running, "start")
        self.order.tried(container_id)
        self.watch(running)

    async def _not_started(self, container_id: str, failure: LaunchFailed) -> None:
        state = {"status": Status.EXITED if self._table.get(container_id).started_once else Status.CREATED}
        container = await self._table.change_state(
            container_id, error=str(failure), exit_code=failure.exit_code, pid=0, monitor_pid=0, **state
        )
        self._waits.exited(container_id, failure.exit_code)
        if container.host_config.auto_remove:
            await self._eraser.erase(container, remove_volumes=True)

    def watch(self, container: Container) -> None:
        """Learn of the end of a running container."""
        container_id, monitor = container.id, container.state.monitor_pid
        self._forget_watch(container_id)
        self._watches[container_id] = ExitWatch(monitor, lambda: self._spawn(self._ended(container_id, monitor)))

    def _forget_watch(self, container_id: str) -> None:
        if watch := self._watches.pop(container_id, None):
            watch.close()

    async def _ended(self, container_id: str, monitor: int) -> None:
        async with self._table.lock(container_id):
            container = self._table.find(container_id)
            if container is None or container.state.monitor_pid != monitor:
                return
            self._watches.pop(container_id, None)
            await self._settle(container)

    async def settle(self, container: Container) -> None:
        """Record the end of a container that nobody watched: it ended while the daemon was away."""
        async with self._table.lock(container.id):
            await self._settle(container)

    async def _settle(self, container: Container) -> None:
        outcome = await self._runner.finish(container)
        container = self._table.get(container.id)  # A client may have said `stop` or `rename` meanwhile.
        oom_told = container.state.oom_killed
        again = restart.again_after_exit(container, outcome.exit_code)
        state = ended(container.state, outcome.exit_code, outcome.finished_at, oom_killed=outcome.oom_killed)
        status = Status.RESTARTING if again else Status.EXITED
        container = await self._table.change(
            container.id,
            state=msgspec.structs.replace(container.state, status=status, error=outcome.error, **state),
            sandbox=Sandbox(),
            networks=cleared(container.networks),
        )
        self._runner.forget(container)
        ran = outcome.finished_at - container.state.started_at
        if outcome.oom_killed and not oom_told:
            self._announcer.container(container, "oom")
        if container.id in self._stopping:
            self._stopping.discard(container.id)
            self._announcer.container(container, "stop")
        self._announcer.container(
            container, "die", exitCode=str(outcome.exit_code), execDuration=str(ran // 1_000_000_000)
        )
        self._waits.exited(container.id, outcome.exit_code)
        if again:
            self._schedule_restart(container, ran)
        elif container.host_config.auto_remove and container.id not in self._kept:
            await self._eraser.erase(container, remove_volumes=True)

    def _schedule_restart(self, container: Container, ran: int) -> None:
        delay = restart.next_delay(self._delays.get(container.id, 0), ran)
        self._delays[container.id] = delay
        task = self._spawn(self._restart_after(container.id, delay))
        self._restarts[container.id] = task

    async def _restart_after(self, container_id: str, delay: float) -> None:
        await asyncio.sleep(delay)
        await self.order.turn(container_id)
        async with self._table.lock(container_id):
            container = self._table.find(container_id)
            if container is None or container.state.status is not Status.RESTARTING:
                return
            self._restarts.pop(container_id, None)
            await self._table.change(container_id, restart_count=container.restart_count + 1)
            try:
                await self._launch(container_id)
            except LaunchFailed as failure:
                log.error("cannot restart container %s: %s", container_id, failure)

    def cancel_restart(self, container_id: str) -> bool:
        """Forget a restart that is due; tell whether there was one."""
        task = self._restarts.pop(container_id, None)
        if task is None or task is asyncio.current_task():
            return False
        task.cancel()
        return True

    async def rest(self, container: Container) -> None:
        """Make a container that waits for its restart an exited one."""
        async with self._table.lock(container.id):
            self.cancel_restart(container.id)
            present = self._table.get(container.id)
            if present.state.status is Status.RESTARTING:
                await self._table.change_state(container.id, status=Status.EXITED, finished_at=times.now())

    def start_later(self, container: Container) -> None:
        """Start a container in the background when its turn comes, as its restart policy asks at daemon start."""
        self._restarts[container.id] = self._spawn(self._start_quietly(container))

    async def _start_quietly(self, container: Container) -> None:
        await self.order.turn(container.id)
        async with self._table.lock(container.id):
            self._restarts.pop(container.id, None)
            present = self._table.find(container.id)
            if present is None or present.state.status is Status.RUNNING:
                return
            try:
                await self._launch(container.id)
            except LaunchFailed as failure:
                log.error("cannot start container %s by its restart policy: %s", container.id, failure)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("looking after a container failed", exc_info=error)

    async def close(self) -> None:
        """Stop looking after containers; they run on."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()
        pending = [t for t in self._restarts.values() if not t.done()]
        for task in pending:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _require_startable(container: Container) -> None:
    status = container.state.status
    if status is Status.PAUSED:
        raise StartPaused
    if status is Status.RUNNING:
        raise Unchanged
    if status in (Status.REMOVING, Status.DEAD):
        raise MarkedForRemoval
