"""The jobs that measure trees."""

import os
import stat

from engine.drivers.confine.walk import walk

_SECTOR = 512  # The unit of st_blocks (stat(2)).


def disk_usage(root: int) -> int:
    """Return what a tree takes on the disk in bytes, each inode once (containerd's `fs.DiskUsage`). Blocks."""
    seen: set[tuple[int, int]] = set()
    total = os.fstat(root).st_blocks
    for found in walk(root):
        status = found.status
        if status.st_nlink > 1 and not found.is_directory:
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
        total += status.st_blocks
    return total * _SECTOR


def content_size(root: int) -> int:
    """Return the bytes of all that is not a directory, each inode once (moby's `directory.Size`). Blocks."""
    sizes: dict[tuple[int, int], int] = {}
    for found in walk(root):
        status = found.status
        if not stat.S_ISDIR(status.st_mode):
            sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())
