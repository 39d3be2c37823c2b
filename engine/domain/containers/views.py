"""What a container's processes see, for those who look into it from outside: `docker cp`, export, commit.

A running container's view is its mount namespace, pinned by a descriptor. A stopped one's tree is mounted for the time
of the work, with its volumes on it.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from engine.core.model.container import Container, MountPoint, Status
from engine.domain.containers.announce import Announcer
from engine.domain.containers.failures import NotRunning
from engine.domain.containers.image_mounts import MountSources
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.remap import runs_remapped
from engine.domain.containers.table import ContainerTable
from engine.drivers.confine.archives import View, ViewMount
from engine.drivers.storage.overlay import OverlayDriver

_RUNNING = (Status.RUNNING, Status.PAUSED)


class Views:
    """Opens containers' file trees."""

    def __init__(
        self,
        table: ContainerTable,
        overlay: OverlayDriver,
        sources: MountSources,
        paths: ContainerPaths,
        announcer: Announcer,
    ) -> None:
        self._table = table
        self._overlay = overlay
        self._volumes = sources.volumes
        self._image_mounts = sources.images
        self._paths = paths
        self._announcer = announcer
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def everything(self, container: Container) -> AsyncIterator[View]:
        """Give what the container sees, volumes included. Raises OSError, WharfError."""
        if container.state.status in _RUNNING:
            namespace = await asyncio.to_thread(_namespace, container)
            try:
                self._announce(container)
                yield View(namespace)
            finally:
                os.close(namespace)
            return
        async with self.tree(container) as root:
            holder = f"{container.id} view"
            try:
                mounts = [await self._mount(container, m, holder) for m in container.mounts if m.type != "tmpfs"]
                self._announce(container)
                etc = await asyncio.to_thread(self._etc, container)
                yield View(root, sorted([*mounts, *etc], key=lambda m: m.destination.count("/")))
            finally:
                for mount in container.mounts:
                    if mount.type == "volume":
                        await self._volumes.unmount(mount.name, holder)
                        self._announcer.volume_unmounted(container, mount)

    def _announce(self, container: Container) -> None:
        for mount in container.mounts:
            if mount.type == "volume":
                self._announcer.volume_mounted(container, mount)

    async def _mount(self, container: Container, mount: MountPoint, holder: str) -> ViewMount:
        source = mount.source
        if mount.type == "volume":
            source = await self._volumes.mount(mount.name, holder)
        elif mount.type == "image":
            source = await self._image_mounts.mount(container, mount)
        return ViewMount(mount.destination, str(Path(source, mount.subpath)))

    def _etc(self, container: Container) -> Sequence[ViewMount]:
        """The files in /etc that the daemon writes, where they have been. Blocks; call in a thread."""
        paths, taken = self._paths, {mount.destination for mount in container.mounts}
        found = {
            "/etc/hosts": paths.hosts(container.id),
            "/etc/hostname": paths.hostname(container.id),
            "/etc/resolv.conf": paths.resolv_conf(container.id),
        }
        return [ViewMount(at, str(file)) for at, file in found.items() if at not in taken and file.exists()]

    @asynccontextmanager
    async def tree(self, container: Container) -> AsyncIterator[Path]:
        """Give the container's own tree, without volumes, mounted meanwhile. Raises OSError."""
        if container.state.status in _RUNNING and await asyncio.to_thread(runs_remapped, container):
            async with self._overlay.copy(container.id) as root:
                yield root
            return
        self._users[container.id] += 1
        try:
            async with self._table.lock(container.id):
                root = await self._overlay.mount(container.id)
            yield root
        finally:
            self._users[container.id] -= 1
            await asyncio.shield(self._release(container.id))

    async def _release(self, container_id: str) -> None:
        """Unmount the tree, where nobody uses it any more."""
        async with self._table.lock(container_id):
            present = self._table.find(container_id)
            idle = present is None or present.state.status not in _RUNNING
            if not self._users[container_id]:
                del self._users[container_id]
                if idle:
                    await self._overlay.unmount(container_id)


def _namespace(container: Container) -> int:
    """Return a descriptor of a running container's mount namespace. Raises NotRunning. Blocks; call in a thread."""
    process = Path(f"/proc/{container.state.pid}")
    try:
        fd = os.open(process / "ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotRunning(container.id) from error
    try:
        # The number may belong to another process by now.
        if container.id not in (process / "cgroup").read_text():
            raise NotRunning(container.id)
    except OSError as error:
        os.close(fd)
        raise NotRunning(container.id) from error
    except NotRunning:
        os.close(fd)
        raise
    return fd
