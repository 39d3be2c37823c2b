"""Trees that builds work in: overlay mounts that live as long as one step, and leave what was changed as a directory.

Nothing in them is written to the disk for its own sake (`volatile`): a step whose daemon dies is done again. Nothing
lies below the layers either: a step sees its image's files and no others.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.drivers.linux import syscalls
from engine.drivers.linux.removal import remove_tree
from engine.drivers.storage.mapped import MappedData
from engine.drivers.storage.overlay_mount import OverlayMount, detach, mount_overlay

# An overlay to look at needs two directories, each once, even where a tree has no layer.
_EMPTY, _NOTHING = "empty", "nothing"


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A mounted tree: `merged` is where it is seen, `upper` takes what is changed in it."""

    home: Path

    @property
    def merged(self) -> Path:
        """The mount point."""
        return self.home / "merged"

    @property
    def upper(self) -> Path:
        """What has been changed. Missing where the tree is only looked at, or when the change has been taken away."""
        return self.home / "upper"


class WorkTrees:
    """The trees below one directory, which is nobody else's."""

    def __init__(self, root: Path, mapped: MappedData | None = None) -> None:
        """`root` is made by `start`. `mapped`: where it is seen with the ids of a user namespace."""
        self._root = root
        self._mapped = mapped
        self._removals: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Make the directory; unmount what a killed daemon has left, and delete it in the background."""
        for home in await asyncio.to_thread(self._prepare):
            self._remove(home)

    def _prepare(self) -> list[Path]:
        for name in (_EMPTY, _NOTHING):
            (self._root / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        left = [entry for entry in self._root.iterdir() if entry.name not in (_EMPTY, _NOTHING)]
        for home in left:
            with contextlib.suppress(OSError):
                syscalls.umount(home / "merged", syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
        return left

    async def open(self, lowers: Sequence[Path]) -> WorkTree:
        """Mount a writable tree above these directories, the uppermost first. Raises OSError."""
        return await self._opened(lowers, self._make)

    async def view(self, lowers: Sequence[Path], *, mapped: bool = False) -> WorkTree:
        """Mount a tree to look at; `mapped`: as who is in the user namespace is to see it. Raises OSError."""
        return await self._opened(lowers, self._make_mapped_view if mapped else self._make_view)

    async def show_mapped(self, tree: WorkTree, lowers: Sequence[Path]) -> None:
        """Mount a writable tree once more, as who is in the user namespace is to see it. Raises OSError."""
        await self.unmount(tree)
        await asyncio.to_thread(self._mount_mapped, tree, lowers)

    async def _opened(self, lowers: Sequence[Path], make: Callable[[WorkTree, Sequence[Path]], None]) -> WorkTree:
        tree = WorkTree(self._root / secrets.token_hex(8))
        making = asyncio.ensure_future(asyncio.to_thread(make, tree, lowers))
        try:
            await asyncio.shield(making)
        except BaseException:
            await asyncio.wait((making,))
            self.drop(tree)
            raise
        return tree

    # All that follows blocks; it is called in threads.

    def _make_home(self, tree: WorkTree) -> None:
        tree.home.mkdir(mode=0o710)
        tree.merged.mkdir(mode=0o700)
        if self._mapped is not None:
            # Who is root in the user namespace must find the way to the mount point.
            os.chown(tree.home, -1, self._mapped.mapping.root[1])

    def _make_view(self, tree: WorkTree, lowers: Sequence[Path]) -> None:
        self._make_home(tree)
        mount_overlay(OverlayMount(self._viewed(lowers), tree.merged))

    def _make_mapped_view(self, tree: WorkTree, lowers: Sequence[Path]) -> None:
        self._make_home(tree)
        see = self._required().path
        mount_overlay(OverlayMount([see(lower) for lower in self._viewed(lowers)], tree.merged))

    def _viewed(self, lowers: Sequence[Path]) -> list[Path]:
        return [*lowers, *(self._root / name for name in ((_EMPTY,) if lowers else (_EMPTY, _NOTHING)))]

    def _make(self, tree: WorkTree, lowers: Sequence[Path]) -> None:
        self._make_home(tree)
        tree.upper.mkdir()
        tree.upper.chmod(0o755)
        if not lowers:  # As containerd: an overlay above nothing would only cost.
            syscalls.mount(tree.upper, tree.merged, flags=syscalls.MS_BIND)
            return
        work = tree.home / "work"
        work.mkdir(mode=0o711)
        # As containerd: the root directory's owner is the image's, its mode is not.
        status = lowers[0].stat()
        os.chown(tree.upper, status.st_uid, status.st_gid)
        mount_overlay(OverlayMount(lowers, tree.merged, tree.upper, work, volatile=True))

    def _mount_mapped(self, tree: WorkTree, lowers: Sequence[Path]) -> None:
        mapped = self._required()
        see, work = mapped.path, tree.home / "mapped-work"
        work.mkdir(mode=0o711)
        seen, owner = [see(lower) for lower in lowers or [self._root / _EMPTY]], mapped.mapping.root
        mount_overlay(OverlayMount(seen, tree.merged, see(tree.upper), see(work), volatile=True, owner=owner))

    def _required(self) -> MappedData:
        if self._mapped is None:
            raise RuntimeError("there is no user namespace")
        return self._mapped

    async def unmount(self, tree: WorkTree) -> None:
        """Unmount a tree; what was changed stays. Idempotent. Raises OSError."""
        pinned = await asyncio.to_thread(detach, tree.merged)
        if pinned is not None:
            await asyncio.to_thread(os.close, pinned)

    def drop(self, tree: WorkTree) -> None:
        """Unmount and delete a tree, in the background. Idempotent."""
        self._remove(tree.home)

    def _remove(self, home: Path) -> None:
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(_delete, home), name="work-tree-removal")
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)

    async def close(self) -> None:
        """Wait for removals in progress."""
        while self._removals:
            await asyncio.wait(set(self._removals))


def _delete(home: Path) -> None:
    """Blocks; call in a thread."""
    pinned = detach(home / "merged")
    if pinned is not None:
        os.close(pinned)
    remove_tree(home)
