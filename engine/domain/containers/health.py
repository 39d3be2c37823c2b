"""Health checks: runs each container's probe at its interval and keeps what the probes say.

Listens to the events of containers: a check begins with `start` (or `unpause`) and ends with `die` (or `pause`). What
the results mean is in `health_rules.py`.
"""

import asyncio
import contextlib
import logging

from engine.core import times
from engine.core.errors import WharfError
from engine.core.model.container import Container, Healthcheck, HealthResult, Status
from engine.core.model.event import Event, EventType
from engine.core.model.exec import ExecConfig
from engine.domain.containers.announce import Announcer
from engine.domain.containers.exec import Execs
from engine.domain.containers.health_rules import SECOND, judged, probe_command, wait_before_probe
from engine.domain.containers.table import ContainerTable
from engine.domain.events.bus import EventBus

log = logging.getLogger(__name__)
_TIMEOUT = 30 * SECOND
_KEPT_OUTPUT = 4096
_NOT_RUN = -1
_BEGINS, _ENDS = ("start", "unpause"), ("die", "pause")


class _Output:
    """The client of a probe's exec: keeps the beginning of what it prints."""

    def __init__(self) -> None:
        self._kept = bytearray()

    async def send(self, stream: int, data: bytes) -> None:
        """Keep what fits."""
        del stream
        self._kept += data[: _KEPT_OUTPUT - len(self._kept)]

    async def receive(self) -> bytes:
        """A probe has no input."""
        return b""

    async def gone(self) -> None:
        """A probe's reader never leaves."""
        await asyncio.Event().wait()

    @property
    def text(self) -> str:
        """What was kept."""
        return self._kept.decode(errors="replace")


class HealthMonitor:
    """Probes running containers. `close` ends the probing, not the containers."""

    def __init__(self, table: ContainerTable, execs: Execs, bus: EventBus, announcer: Announcer) -> None:
        self._table = table
        self._execs = execs
        self._bus = bus
        self._announcer = announcer
        self._probing: dict[str, asyncio.Task[None]] = {}
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take up the containers that run, and listen for others."""
        self._listening = asyncio.get_running_loop().create_task(self._listen(), name="health")
        for container in self._table.all():
            if container.state.status is Status.RUNNING:
                self._begin(container.id)

    async def _listen(self) -> None:
        wanted: dict[str, list[str]] = {"type": [EventType.CONTAINER], "event": [*_BEGINS, *_ENDS]}
        while True:
            # A subscription ends where its reader is too slow: then what runs is looked at again.
            with self._bus.subscribe(filters=wanted) as events:
                async for event in events:
                    self._heard(event)

    def _heard(self, event: Event) -> None:
        if event.action in _BEGINS:
            self._begin(event.actor)
        else:
            self._end(event.actor)

    def _begin(self, container_id: str) -> None:
        container = self._table.find(container_id)
        if container is None or probe_command(container) is None or container_id in self._probing:
            return
        task = asyncio.get_running_loop().create_task(self._probe_forever(container_id), name=f"health {container_id}")
        self._probing[container_id] = task
        task.add_done_callback(lambda done: self._forget(container_id, done))

    def _forget(self, container_id: str, task: asyncio.Task[None]) -> None:
        if self._probing.get(container_id) is task:
            del self._probing[container_id]
        if not task.cancelled() and (error := task.exception()):
            log.error("the health check of container %s failed", container_id, exc_info=error)

    def _end(self, container_id: str) -> None:
        task = self._probing.pop(container_id, None)
        if task is not None:
            task.cancel()

    async def _probe_forever(self, container_id: str) -> None:
        while (container := self._table.find(container_id)) is not None:
            check, command = container.config.healthcheck, probe_command(container)
            if check is None or command is None or container.state.health is None:
                return
            status = container.state.health.status
            await asyncio.sleep(wait_before_probe(check, container.state.started_at, status, times.now()))
            await self._record(container_id, check, await self._probe(container, check, command))

    async def _probe(self, container: Container, check: Healthcheck, command: list[str]) -> HealthResult:
        start, output, code = times.now(), _Output(), _NOT_RUN
        timeout = (check.timeout or _TIMEOUT) / SECOND
        text = ""
        try:
            config = ExecConfig(cmd=command, attach_stdout=True, attach_stderr=True)
            instance = await self._execs.create(container.id, config)
            try:
                async with asyncio.timeout(timeout):
                    await self._execs.run_attached(instance, output)
                code = self._execs.get(instance.id).exit_code or 0
                text = output.text
            except TimeoutError:
                self._execs.kill(instance.id)
                text = f"Health check exceeded timeout ({times.duration(check.timeout or _TIMEOUT)}): {output.text}"
        except (OSError, WharfError) as error:
            text = str(error)
        return HealthResult(start=start, end=times.now(), exit_code=code, output=text)

    async def _record(self, container_id: str, check: Healthcheck, result: HealthResult) -> None:
        async with self._table.lock(container_id):
            container = self._table.find(container_id)
            if container is None or container.state.status is not Status.RUNNING or container.state.health is None:
                return
            health = judged(container.state.health, result, check, container.state.started_at)
            changed = health.status != container.state.health.status
            container = await self._table.change_state(container_id, health=health)
        if changed:
            self._announcer.container(container, f"health_status: {health.status}")

    async def close(self) -> None:
        """Stop probing."""
        tasks = [*self._probing.values(), *((self._listening,) if self._listening else ())]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
