"""How full a disk is."""

import os
from pathlib import Path


def used_percent(path: Path) -> float:
    """Return how much of the file system is in use, as `df` says it. Raises OSError. Blocks; call in a thread."""
    found = os.statvfs(path)
    used = found.f_blocks - found.f_bfree
    return 100 * used / max(used + found.f_bavail, 1)


def free_bytes(path: Path) -> int:
    """Return how much of the file system is free for users. Raises OSError. Blocks; call in a thread."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def total_bytes(path: Path) -> int:
    """Return how large the file system is. Raises OSError. Blocks; call in a thread."""
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize
