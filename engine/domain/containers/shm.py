"""The memory filesystem that containers share as /dev/shm (`--ipc shareable` and `container:X`).

It is mounted on the host, below the directory of the container that owns it, since it must outlive any one container's
mount namespace. Everything here blocks; call in a thread.
"""

import contextlib
from pathlib import Path

from engine.drivers.linux import syscalls

_FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC


def mount(path: Path, size: int) -> None:
    """Make the directory and mount a tmpfs of `size` bytes there. Raises OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    syscalls.mount("shm", path, "tmpfs", _FLAGS, f"mode=1777,size={size}")


def unmount(path: Path) -> None:
    """Unmount it, if it is mounted; containers that have it see it until they end."""
    with contextlib.suppress(OSError):
        syscalls.umount(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
