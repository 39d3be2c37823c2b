"""Reads what device nodes the host has. Owns nothing; makes none."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from engine.core.model.device import HostDevice

# As Docker and runc: terminals and shared memory of the host are nobody else's business.
_SKIPPED_DIRECTORIES = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"})


def lookup(path: str) -> list[HostDevice]:
    """Return the device node at `path`, or those below a directory. Raises OSError. Blocks; call in a thread."""
    status = Path(path).stat()
    if stat.S_ISDIR(status.st_mode):
        return list(_below(Path(path)))
    device = _device(path, status)
    return [device] if device else []


def every_device() -> tuple[HostDevice, ...]:
    """Return all device nodes of the host, for privileged containers. Blocks; call in a thread."""
    return tuple(_below(Path("/dev")))


def _below(directory: Path) -> Iterator[HostDevice]:
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except (PermissionError, FileNotFoundError):
        return
    for entry in entries:
        if entry.is_symlink() or entry.name == "console":
            continue
        if entry.is_dir():
            if entry.name not in _SKIPPED_DIRECTORIES:
                yield from _below(Path(entry.path))
            continue
        device = _device(entry.path, entry.stat(follow_symlinks=False))
        if device is not None:
            yield device


def _device(path: str, status: os.stat_result) -> HostDevice | None:
    if not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        return None
    return HostDevice(
        path=path,
        kind="c" if stat.S_ISCHR(status.st_mode) else "b",
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )
