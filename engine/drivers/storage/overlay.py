"""Containers' root filesystems: an overlay mount of a writable directory above unpacked layers.

`<root>/<container id>/` holds `upper`, `work`, `merged` (the mount point) and `layers` (the chain IDs, bottom first).
Does not know images, nor what a container is.
"""

import asyncio
import contextlib
import errno
import os
import secrets
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.drivers.linux import syscalls
from engine.drivers.linux.removal import remove_tree
from engine.drivers.storage.layers import LayerStore

_REMOVED = ".removed-"
# An overlay needs a lower directory even where the image has no layer.
_SKELETON = ".skeleton"
# `redirect_dir` and `metacopy` would let the upper directory hold references instead of content: it could no longer be
# read on its own. `index` would refuse to mount where the last mount of the same directory has not quite gone.
_OPTIONS = {"index": "off", "redirect_dir": "off", "metacopy": "off"}


class OverlayFailed(OSError):
    """The kernel refused the mount; says why, as far as the kernel tells."""


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


class OverlayDriver:
    """Makes, mounts and removes containers' trees."""

    def __init__(self, root: Path, layers: LayerStore) -> None:
        """`root` is made by `start`."""
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
        _make_skeleton(self._root / _SKELETON)
        return [entry for entry in self._root.iterdir() if entry.name.startswith(_REMOVED)]

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

    async def mount(self, container_id: str) -> Path:
        """Mount a container's tree, where it is not, and return its path. Raises OSError."""
        if (ending := self._detached.get(container_id)) is not None:
            await asyncio.wait((ending,))
        return await asyncio.to_thread(self._mount, self._tree(container_id))

    async def unmount(self, container_id: str) -> None:
        """Unmount a container's tree, where it is mounted. Raises OSError.

        The mount is gone when this returns, but not yet its end: the kernel writes the whole filesystem below to the
        disk when an overlay's last user goes (`ovl_sync_fs`), for which nobody has to wait but the next mount.
        """
        pinned = await asyncio.to_thread(_detach, self._tree(container_id).merged)
        if pinned is None:
            return
        task = self._spawn(asyncio.to_thread(os.close, pinned))
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
        for directory, mode in ((tree.upper, 0o755), (tree.work, 0o711), (tree.merged, 0o700)):
            directory.mkdir()
            directory.chmod(mode)
        if chains:
            # As containerd: the root directory's owner is the image's, its mode is not.
            status = self._layers.path(chains[-1]).stat()
            if status.st_uid or status.st_gid:
                os.chown(tree.upper, status.st_uid, status.st_gid)
        tree.layers.write_text("\n".join(chains))

    def _mount(self, tree: _Tree) -> Path:
        if not tree.merged.is_mount():
            _mount_overlay(tree, self.lowers(tree.home.name))
        return tree.merged

    def _bury(self, tree: _Tree) -> Path | None:
        grave = self._root / f"{_REMOVED}{secrets.token_hex(8)}"
        try:
            tree.home.rename(grave)
        except FileNotFoundError:
            return None
        return grave


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


def _mount_overlay(tree: _Tree, lowers: Sequence[Path]) -> None:
    """Mount with the API that takes one layer at a time (Linux 6.5), else with mount(2). Blocks; call in a thread."""
    fs = syscalls.fsopen("overlay")
    try:
        _configure(fs, tree, lowers)
        mount = syscalls.fsmount(fs)
    except OSError as error:
        if error.errno == errno.EINVAL and not _takes_single_layers(fs):
            _mount_by_data(tree, lowers)
            return
        raise OverlayFailed(error.errno, _reason(fs) or error.strerror, str(tree.merged)) from error
    finally:
        os.close(fs)
    try:
        syscalls.move_mount(mount, tree.merged)
    finally:
        os.close(mount)


def _configure(fs: int, tree: _Tree, lowers: Sequence[Path]) -> None:
    for lower in lowers:
        syscalls.fsconfig_string(fs, "lowerdir+", lower)
    syscalls.fsconfig_string(fs, "upperdir", tree.upper)
    syscalls.fsconfig_string(fs, "workdir", tree.work)
    for name, value in _OPTIONS.items():
        syscalls.fsconfig_string(fs, name, value)
    syscalls.fsconfig_create(fs)


def _takes_single_layers(fs: int) -> bool:
    """Tell from the version: the error is the same as for a wrong option."""
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int("".join(c for c in minor if c.isdigit()))) >= (6, 5)


def _reason(fs: int) -> str:
    """Return the messages that the kernel left for this mount, each `e` and its text."""
    messages = []
    with contextlib.suppress(OSError):
        while message := os.read(fs, 4096):
            messages.append(message.decode(errors="replace").strip())
    return "; ".join(messages)


def _mount_by_data(tree: _Tree, lowers: Sequence[Path]) -> None:
    """mount(2) takes one page of options: descriptors stand for the layers' long names. Blocks; call in a thread."""
    with contextlib.ExitStack() as stack:
        pinned = [os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for lower in lowers]
        for fd in pinned:
            stack.callback(os.close, fd)
        options = {"lowerdir": ":".join(f"/proc/self/fd/{fd}" for fd in pinned)}
        options |= {"upperdir": str(tree.upper), "workdir": str(tree.work)} | _OPTIONS
        data = ",".join(f"{name}={value}" for name, value in options.items())
        syscalls.mount("overlay", tree.merged, "overlay", data=data)


def _detach(merged: Path) -> int | None:
    """Unmount, and return a descriptor that keeps the filesystem until it is closed; None where nothing is mounted.

    Blocks; call in a thread.
    """
    try:
        if not merged.is_mount():
            return None
        pinned = os.open(merged, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        syscalls.umount(merged, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
    except OSError as error:
        os.close(pinned)
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise
    return pinned
