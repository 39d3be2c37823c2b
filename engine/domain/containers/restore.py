"""Daemon start: find every container as it is, whatever the daemon was doing when it last stopped.

Order: what runs is adopted first, then networks and storage drop what nobody holds, then what ended meanwhile is
settled, half-done removals are finished, and restart policies apply.
"""

import asyncio
import logging
from pathlib import Path

from engine.core.errors import WharfError
from engine.core.model.container import Container, Status
from engine.domain.containers import restart
from engine.domain.containers.erase import Eraser
from engine.domain.containers.image_mounts import holds
from engine.domain.containers.log_files import LogFiles
from engine.domain.containers.runner import Runner
from engine.domain.containers.supervisor import Supervisor
from engine.domain.containers.table import ContainerTable
from engine.domain.images.images import Images
from engine.domain.networks.networks import Networks
from engine.domain.volumes.volumes import Volumes
from engine.drivers.runtime.conmon import Conmon

log = logging.getLogger(__name__)


class Holdings:
    """The parts of the daemon in which containers hold something."""

    def __init__(self, images: Images, networks: Networks, volumes: Volumes) -> None:
        self._images = images
        self._networks = networks
        self._volumes = volumes

    async def take_again(self, container: Container, *, running: bool) -> None:
        """Take the references that a container holds: after a restart they are in memory no more."""
        for holder, hold in holds(container).items():
            self._images.acquire(holder, hold)
        for mount in container.mounts:
            if mount.type != "volume":
                continue
            await self._volumes.acquire(mount.name, container.id)
            if running:
                await self._volumes.mount_again(mount.name, container.id)

    async def drop_orphans(self, running: dict[str, Container]) -> None:
        """Adopt the endpoints of running containers and remove all others."""
        await self._networks.restore(running)


class Restorer:
    """Brings the daemon's idea of its containers and the world together again."""

    def __init__(
        self,
        table: ContainerTable,
        holdings: Holdings,
        runner: Runner,
        supervisor: Supervisor,
        eraser: Eraser,
        conmon: Conmon,
    ) -> None:
        self._table = table
        self._holdings = holdings
        self._runner = runner
        self._supervisor = supervisor
        self._eraser = eraser
        self._conmon = conmon

    async def restore(self, logs: LogFiles) -> None:
        """Restore all containers."""
        alive = {c.id: c for c in self._table.all() if await asyncio.to_thread(self._is_alive, c)}
        for container in self._table.all():
            await self._holdings.take_again(container, running=container.id in alive)
        await self._holdings.drop_orphans(alive)
        for container in alive.values():
            await logs.restore(container, running=True)
            self._supervisor.watch(container)
        stopped = [c for c in self._table.all() if c.id not in alive]
        self._supervisor.order.plan(c for c in stopped if restart.again_at_daemon_start(c))
        for container in self._table.all():
            if container.id not in alive:
                await logs.restore(container, running=False)
                await self._tidy(container)

    def _is_alive(self, container: Container) -> bool:
        """Tell whether the container's monitor still watches it. Blocks; call in a thread."""
        if container.state.status not in (Status.RUNNING, Status.PAUSED):
            return False
        if self._conmon.exit_code(container.id) is not None:
            return False
        return monitor_lives(container.state.monitor_pid, container.id)

    async def _tidy(self, container: Container) -> None:
        try:
            await self._tidy_one(container)
        except (OSError, WharfError) as error:
            log.error("container %s cannot be restored: %s", container.id, error)

    async def _tidy_one(self, container: Container) -> None:
        status = container.state.status
        if status in (Status.REMOVING, Status.DEAD):
            async with self._table.lock(container.id):
                await self._runner.release(container)
                await self._eraser.erase(container, remove_volumes=True)
            return
        if status in (Status.RUNNING, Status.PAUSED):
            await self._supervisor.settle(container)
            return
        await self._runner.release_leftovers(container)
        if status is Status.RESTARTING:
            container = await self._table.change_state(container.id, status=Status.EXITED)
        if container.host_config.auto_remove and container.started_once:
            async with self._table.lock(container.id):
                await self._eraser.erase(container, remove_volumes=True)
        elif restart.again_at_daemon_start(container):
            self._supervisor.start_later(container)


def monitor_lives(pid: int, container_id: str) -> bool:
    """Tell whether `pid` is the monitor of that container, and not a stranger with a reused pid. Blocks (procfs)."""
    try:
        return container_id.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
