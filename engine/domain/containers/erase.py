"""Removal of a container that does not run: its record, directories, layer, references, anonymous volumes.

The record says `removing` first; a daemon that dies half way finishes the removal at its next start.
"""

import asyncio
import shutil

from engine.core.model.container import Container, Status
from engine.domain.containers.announce import Announcer
from engine.domain.containers.image_mounts import holds
from engine.domain.containers.log_files import LogFiles
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.wait import Waits
from engine.domain.images.images import Images
from engine.domain.volumes.volumes import Volumes
from engine.drivers.storage.overlay import OverlayDriver


class Belongings:
    """What a container holds in the other parts of the daemon."""

    def __init__(
        self, overlay: OverlayDriver, images: Images, volumes: Volumes, paths: ContainerPaths, logs: LogFiles
    ) -> None:
        self._overlay = overlay
        self._images = images
        self._volumes = volumes
        self._paths = paths
        self._logs = logs

    async def give_up(self, container: Container, *, remove_volumes: bool) -> None:
        """Remove the writable layer and the directories, and release image and volumes."""
        await self._overlay.remove(container.id)
        await self._logs.release(container.id)
        await asyncio.to_thread(shutil.rmtree, self._paths.home(container.id), ignore_errors=True)
        for holder, hold in holds(container).items():
            self._images.release(hold.image_id, holder)
        self._volumes.release(container.id)
        if remove_volumes:
            for mount in container.mounts:
                if mount.anonymous:
                    await self._volumes.remove_unused(mount.name)


class Eraser:
    """Removes containers from the world."""

    def __init__(self, table: ContainerTable, belongings: Belongings, waits: Waits, announcer: Announcer) -> None:
        self._table = table
        self._belongings = belongings
        self._waits = waits
        self._announcer = announcer

    async def erase(self, container: Container, *, remove_volumes: bool) -> None:
        """Remove a container that does not run; the caller holds its lock."""
        code = container.state.exit_code
        await self._table.change_state(container.id, status=Status.REMOVING)
        try:
            await self._belongings.give_up(container, remove_volumes=remove_volumes)
        except OSError as error:
            await self._table.change_state(container.id, status=Status.DEAD, dead=True, error=str(error))
            self._waits.removed(container.id, code, str(error))
            raise
        await self._table.remove(container.id)
        self._announcer.container(container, "destroy")
        self._waits.removed(container.id, code)
