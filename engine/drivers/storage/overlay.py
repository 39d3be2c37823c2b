"""Containers' root filesystems: an overlay mount of a writable directory above unpacked layers.

`<root>/<container id>/` holds `upper`, `work`, `merged` (the mount point), `layers` (the chain IDs, bottom first), and
in `views` the mount points of other layers, which the container is to see as they are.
Does not know images, nor what a container is.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.drivers.linux.removal import remove_tree
from engine.drivers.storage.layers import LayerStore
from engine.drivers.storage.mapped import MappedData
from engine.drivers.storage.overlay_mount import OverlayMount, detach, mount_overlay

_REMOVED = ".removed-"
# An overlay needs a lower directory even where the image has no layer.
_SKELETON = ".skeleton"
_EMPTY = (".empty/1", ".empty/2")


@dataclass(frozen=True, slots=True)
class _Tree:
    """One container's directory."""

    home: Path

    @property
    def upper(self) -> Path:
        return self.home / "upper"

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def merged(self) -> Path:
        return self.home / "merged"

    @property
    def layers(self) -> Path:
        return self.home / "layers"

    @property
    def views(self) -> Path:
        return self.home / "views"


class OverlayDriver:
    """Makes, mounts and removes containers' trees."""

    def __init__(self, root: Path, layers: LayerStore, mapped: MappedData | None = None) -> None:
        """`root` is made by `start`. `mapped`: where it is seen with the ids of a user namespace."""
        self._mapped = mapped
        self._root = root
        self._layers = layers
        self._detached: dict[str, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Make the directory, and delete in the background what a killed daemon had begun to remove."""
        for grave in await asyncio.to_thread(self._prepare):
            self._spawn(asyncio.to_thread(remove_tree, grave))

    def _prepare(self) -> list[Path]:
        self._root.mkdir(mode=0o710, parents=True, exist_ok=True)
        self._root.chmod(self._mode)
        _make_skeleton(self._root / _SKELETON)
        for name in _EMPTY:
            (self._root / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        return [entry for entry in self._root.iterdir() if entry.name.startswith(_REMOVED)]

    @property
    def _mode(self) -> int:
        """Who is root in a user namespace only must find the way to the mount points."""
        return 0o710 if self._mapped is None else 0o711

    async def close(self) -> None:
        """Wait for removals in progress."""
        while self._background:
            await asyncio.wait(set(self._background))

    def all(self) -> list[str]:
        """Return the container ids that have a directory. Blocks shortly; meant for the daemon's start."""
        return [entry.name for entry in self._root.iterdir() if not entry.name.startswith(".")]

    def upper(self, container_id: str) -> Path:
        """Return the writable directory: what the container has changed."""
        return self._tree(container_id).upper

    def lowers(self, container_id: str) -> list[Path]:
        """Return the directories below it, the uppermost first. Reads a small file. Raises OSError."""
        chains = self._tree(container_id).layers.read_text().split()
        return [*(self._layers.path(chain) for chain in reversed(chains)), self._root / _SKELETON]

    async def create(self, container_id: str, chains: Sequence[str]) -> None:
        """Make a container's directory above these layers (chain IDs, bottom first). Raises OSError."""
        await asyncio.to_thread(self._create, self._tree(container_id), chains)

    async def mount(self, container_id: str, *, mapped: bool = False) -> Path:
        """Mount a container's tree, where it is not, and return its path. Raises OSError.

        `mapped`: as a container in a user namespace is to see it.
        """
        if (ending := self._detached.get(container_id)) is not None:
            await asyncio.wait((ending,))
        return await asyncio.to_thread(self._mount, self._tree(container_id), mapped=mapped)

    def view(self, container_id: str, name: str) -> Path:
        """Return where `mount_view` mounts."""
        return self._tree(container_id).views / name

    async def mount_view(self, container_id: str, name: str, chains: Sequence[str], *, mapped: bool = False) -> Path:
        """Mount other layers (chain IDs, bottom first) to be looked at, where they are not; return the path.

        `unmount` takes them along. Raises OSError.
        """
        lowers = [self._layers.path(chain) for chain in reversed(chains)]
        return await asyncio.to_thread(self._mount_view, self.view(container_id, name), lowers, mapped=mapped)

    @asynccontextmanager
    async def copy(self, container_id: str) -> AsyncIterator[Path]:
        """Mount a container's tree once more, as it is on the disk, to be looked at meanwhile. Raises OSError."""
        place = self.view(container_id, secrets.token_hex(8))
        lowers = [self.upper(container_id), *self.lowers(container_id)]
        try:
            yield await asyncio.to_thread(self._mount_view, place, lowers, mapped=False)
        finally:
            await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(_drop_view, place)))

    async def unmount(self, container_id: str) -> None:
        """Unmount a container's tree and views, where they are mounted. Raises OSError.

        The mount is gone when this returns, but not yet its end: the kernel writes the whole filesystem below to the
        disk when an overlay's last user goes (`ovl_sync_fs`), for which nobody has to wait but the next mount.
        """
        pinned = await asyncio.to_thread(self._detach, self._tree(container_id))
        if not pinned:
            return
        task = self._spawn(asyncio.to_thread(_close, pinned))
        self._detached[container_id] = task
        task.add_done_callback(lambda _: self._forget(container_id, task))

    def _forget(self, container_id: str, task: asyncio.Task[None]) -> None:
        if self._detached.get(container_id) is task:
            del self._detached[container_id]

    async def remove(self, container_id: str) -> None:
        """Unmount and remove a container's tree; what it holds is deleted in the background. Idempotent."""
        await self.unmount(container_id)
        grave = await asyncio.to_thread(self._bury, self._tree(container_id))
        if grave is not None:
            self._spawn(asyncio.to_thread(remove_tree, grave))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _tree(self, container_id: str) -> _Tree:
        return _Tree(self._root / container_id)

    def _create(self, tree: _Tree, chains: Sequence[str]) -> None:
        tree.home.mkdir(mode=0o710)
        tree.home.chmod(self._mode)
        for directory, mode in ((tree.upper, 0o755), (tree.work, 0o711), (tree.merged, 0o700)):
            directory.mkdir()
            directory.chmod(mode)
        if chains:
            # As containerd: the root directory's owner is the image's, its mode is not.
            status = self._layers.path(chains[-1]).stat()
            if status.st_uid or status.st_gid:
                os.chown(tree.upper, status.st_uid, status.st_gid)
        tree.layers.write_text("\n".join(chains))

    def _mount(self, tree: _Tree, *, mapped: bool) -> Path:
        if not tree.merged.is_mount():
            tree.home.chmod(self._mode)
            lowers, upper, work = self.lowers(tree.home.name), tree.upper, tree.work
            if mapped and self._mapped is not None:
                see, owner = self._mapped.path, self._mapped.mapping.root
                lowers, upper, work = [see(lower) for lower in lowers], see(upper), see(work)
                mount_overlay(OverlayMount(lowers, tree.merged, upper, work, owner=owner))
            else:
                mount_overlay(OverlayMount(lowers, tree.merged, upper, work))
        return tree.merged

    def _mount_view(self, path: Path, layers: Sequence[Path], *, mapped: bool) -> Path:
        path.parent.mkdir(mode=0o711, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        if not path.is_mount():
            empty = [self._root / name for name in _EMPTY]
            lowers = [*layers, *(empty[:1] if layers else empty)]
            if mapped and self._mapped is not None:
                lowers = [self._mapped.path(lower) for lower in lowers]
            mount_overlay(OverlayMount(lowers, path))
        return path

    def _detach(self, tree: _Tree) -> list[int]:
        """Unmount; return descriptors that keep the filesystems until they are closed."""
        views = list(tree.views.iterdir()) if tree.views.is_dir() else []
        return [pinned for path in (tree.merged, *views) if (pinned := detach(path)) is not None]

    def _bury(self, tree: _Tree) -> Path | None:
        grave = self._root / f"{_REMOVED}{secrets.token_hex(8)}"
        try:
            tree.home.rename(grave)
        except FileNotFoundError:
            return None
        return grave


def _drop_view(path: Path) -> None:
    if (pinned := detach(path)) is not None:
        os.close(pinned)
    path.rmdir()


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _make_skeleton(root: Path) -> None:
    """Make what every container's tree has below all layers: where the runtime mounts, and the mark of Docker.

    As the image's layers lie above it, what they have themselves stays as it is. Source: dockerd's init layer.
    """
    for directory in ("", "dev", "dev/pts", "dev/shm", "etc", "proc", "sys"):
        (root / directory).mkdir(mode=0o755, exist_ok=True)
    for file in (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"):
        (root / file).touch(mode=0o755)
    if not (root / "etc/mtab").is_symlink():
        (root / "etc/mtab").symlink_to("/proc/mounts")
