"""A container's file tree, made ready to run in: the overlay mount, its user, working directory and volumes."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.core.model.container import Container, MountPoint
from engine.domain.containers import subpaths
from engine.domain.containers.announce import Announcer
from engine.domain.containers.bind_sources import fitted, ready_bind
from engine.domain.containers.image_mounts import MountSources
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.remap import Remap
from engine.domain.containers.users import ResolvedUser, resolve_user
from engine.drivers.confine.confine import Confine
from engine.drivers.storage.overlay import OverlayDriver

_ACCOUNT_FILE_LIMIT = 8 << 20


@dataclass(frozen=True, slots=True)
class Rootfs:
    """A mounted tree, the user to run as, and the mounts with their sources on the host."""

    path: Path
    user: ResolvedUser
    mounts: Sequence[MountPoint]


class RootfsPreparer:
    """Mounts and unmounts containers' trees."""

    def __init__(
        self,
        overlay: OverlayDriver,
        confine: Confine,
        sources: MountSources,
        announcer: Announcer,
        paths: ContainerPaths,
        remap: Remap,
    ) -> None:
        self._remap = remap
        self._overlay = overlay
        self._confine = confine
        self._volumes = sources.volumes
        self._image_mounts = sources.images
        self._announcer = announcer
        self._paths = paths

    async def prepare(self, container: Container) -> Rootfs:
        """Mount the tree and everything that must be in it before the first process. Raises OSError, WharfError."""
        path = await self._overlay.mount(container.id)
        user = await self.user(path, container.config.user, container.host_config.group_add or ())
        if container.config.working_dir:
            await self._confine.ensure_directory(path, container.config.working_dir, 0, 0)
        volumes = [await self._volume(container, path, m) for m in container.mounts if m.type == "volume"]
        if self._remap.of(container) is not None:  # Until here it was about files as they are on the disk.
            await self._overlay.unmount(container.id)
            path = await self._overlay.mount(container.id, mapped=True)
        sources = iter(volumes)
        mounts = [await self._mount(container, m, sources) for m in container.mounts]
        return Rootfs(path, user, mounts)

    async def user(self, rootfs: Path, user: str, groups: Sequence[str]) -> ResolvedUser:
        """Resolve a user and groups by the tree's own account files. Raises InvalidParameter."""
        passwd, group = await asyncio.gather(
            self._confine.read_file(rootfs, "/etc/passwd", _ACCOUNT_FILE_LIMIT),
            self._confine.read_file(rootfs, "/etc/group", _ACCOUNT_FILE_LIMIT),
        )
        return resolve_user(user, passwd or b"", group or b"", groups)

    async def _volume(self, container: Container, rootfs: Path, mount: MountPoint) -> Path:
        """Return where a volume is mounted; it has got its first content."""
        source = Path(await self._volumes.mount(mount.name, container.id))
        if mount.copy_up:
            await self._confine.copy_up(rootfs, mount.destination, source)
        return source

    async def _mount(self, container: Container, mount: MountPoint, volumes: Iterator[Path]) -> MountPoint:
        if mount.type == "bind":
            return await asyncio.to_thread(ready_bind, mount)
        if mount.type == "image":
            mapped = self._remap.of(container) is not None
            return await self._part(container, mount, await self._image_mounts.mount(container, mount, mapped=mapped))
        if mount.type != "volume":
            return mount
        source = self._remap.path(container, next(volumes))
        result = await self._part(container, mount, str(source))
        self._announcer.volume_mounted(container, mount)
        return result

    async def _part(self, container: Container, mount: MountPoint, source: str) -> MountPoint:
        """Return the mount with its source, or with the part that is wanted. Raises InvalidParameter, NotFound."""
        if not mount.subpath:
            return msgspec.structs.replace(mount, source=source)
        part = self._paths.subpaths(container.id) / str(container.mounts.index(mount))
        await asyncio.to_thread(subpaths.mount, Path(source), mount.subpath, part)
        return await asyncio.to_thread(fitted, msgspec.structs.replace(mount, source=str(part)))

    async def release(self, container: Container) -> None:
        """Unmount the tree and the volumes. Idempotent."""
        for mount in container.mounts:
            if mount.type == "volume":
                await self._volumes.unmount(mount.name, container.id)
                self._announcer.volume_unmounted(container, mount)
        await self._overlay.unmount(container.id)
