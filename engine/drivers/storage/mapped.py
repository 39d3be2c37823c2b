"""The data directory as the containers of `--userns-remap` see it: an id-mapped mount of it (Linux 5.19).

What is on the disk keeps the ids that it has in the container: images, layers and volumes are the same with the setting
and without, nothing is ever chowned, and `commit`, `diff` and `export` need to know nothing.
"""

import asyncio
import contextlib
import os
from pathlib import Path

from engine.core.errors import Internal
from engine.core.model.id_mapping import IdMapping
from engine.drivers.linux import syscalls
from engine.drivers.linux.user_namespace import open_user_namespace


class MappingUnsupported(Internal):
    """The kernel, or the filesystem of the data directory, has no id-mapped mounts."""

    def __init__(self, data: Path, reason: str) -> None:
        super().__init__(f"--userns-remap needs id-mapped mounts, which {data} does not allow: {reason}")


class MappedData:
    """The mapped mount of a data directory at a place of its own."""

    def __init__(self, data: Path, place: Path, mapping: IdMapping) -> None:
        self.mapping = mapping
        self._data = data
        self._place = place

    def path(self, path: Path) -> Path:
        """Return where something in the data directory is seen mapped; anything else, and mounts in it, as it is."""
        if not path.is_relative_to(self._data) or path.is_mount():
            return path
        return self._place / path.relative_to(self._data)

    async def start(self) -> None:
        """Mount it anew; containers that run keep what they have. Raises MappingUnsupported."""
        try:
            namespace = await open_user_namespace(self.mapping)
            try:
                await asyncio.to_thread(self._mount, namespace)
            finally:
                os.close(namespace)
        except OSError as error:
            raise MappingUnsupported(self._data, error.strerror or str(error)) from error

    def _mount(self, namespace: int) -> None:
        unmount_mapped(self._place)
        self._place.mkdir(mode=0o711, parents=True, exist_ok=True)
        tree = syscalls.open_tree(self._data, syscalls.OPEN_TREE_CLONE)
        try:
            syscalls.map_ids(tree, namespace)
            syscalls.move_mount(tree, self._place)
        finally:
            os.close(tree)

    async def close(self) -> None:
        """Unmount it; containers that run keep what they have."""
        await asyncio.to_thread(unmount_mapped, self._place)


def unmount_mapped(place: Path) -> None:
    """Unmount what a daemon, perhaps one with another setting, has left there. Blocks; call in a thread."""
    with contextlib.suppress(OSError):
        syscalls.umount(place, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
