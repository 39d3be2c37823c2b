"""Tells that a running container lost a process for want of memory: event `oom`, state `OOMKilled`.

Listens to the events of containers, and watches those with a limit of memory. What happens too soon for that, or to
others, is told with the end of the run.
"""

import asyncio
import contextlib

from engine.core.model.container import Container, Status
from engine.core.model.event import EventType
from engine.domain.containers.announce import Announcer
from engine.domain.containers.table import ContainerTable
from engine.domain.events.bus import EventBus
from engine.drivers.cgroups.cgroups import Cgroups
from engine.drivers.cgroups.oom_watch import OomWatch

_LOOKS, _LOOK_AGAIN = 20, 0.05


class OomMonitor:
    """Watches running containers until it is closed."""

    def __init__(self, table: ContainerTable, cgroups: Cgroups, bus: EventBus, announcer: Announcer) -> None:
        self._table = table
        self._cgroups = cgroups
        self._bus = bus
        self._announcer = announcer
        self._watches: dict[str, OomWatch] = {}
        self._told: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch what runs, and listen for others."""
        self._listening = asyncio.get_running_loop().create_task(self._listen(), name="oom")
        for container in self._table.all():
            if container.state.status in (Status.RUNNING, Status.PAUSED):
                self._begin(container.id)

    async def _listen(self) -> None:
        while True:
            # A subscription ends where its reader is too slow.
            with self._bus.subscribe(filters={"type": [EventType.CONTAINER], "event": ["start", "die"]}) as events:
                async for event in events:
                    self._end(event.actor)
                    if event.action == "start":
                        self._begin(event.actor)

    def _begin(self, container_id: str) -> None:
        container = self._table.find(container_id)
        if container is None or not container.host_config.memory:
            return
        monitor = container.state.monitor_pid
        with contextlib.suppress(OSError):  # It may have ended; some kernels lack the interface.
            self._watches[container_id] = self._cgroups.watch_oom(
                container_id, container.host_config.cgroup_parent, lambda: self._killed(container_id, monitor)
            )

    def _end(self, container_id: str) -> None:
        if watch := self._watches.pop(container_id, None):
            watch.close()

    def _killed(self, container_id: str, monitor: int) -> None:
        task = asyncio.get_running_loop().create_task(self._tell(container_id, monitor), name=f"oom {container_id}")
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def _tell(self, container_id: str, monitor: int) -> None:
        container = self._table.find(container_id)
        if container is None or not await self._happened(container):
            return
        async with self._table.lock(container_id):
            container = self._table.find(container_id)
            if container is None or container.state.monitor_pid != monitor or container.state.oom_killed:
                return
            container = await self._table.change_state(container_id, oom_killed=True)
            self._announcer.container(container, "oom")

    async def _happened(self, container: Container) -> bool:
        """The kernel reports memory that is short before it kills, and the removal of a cgroup in the same way."""
        parent = container.host_config.cgroup_parent
        for _ in range(_LOOKS):
            if await asyncio.to_thread(self._cgroups.oom_killed, container.id, parent):
                return True
            await asyncio.sleep(_LOOK_AGAIN)
        return False

    async def close(self) -> None:
        """Stop watching."""
        for container_id in list(self._watches):
            self._end(container_id)
        tasks = [*self._told, *((self._listening,) if self._listening else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
