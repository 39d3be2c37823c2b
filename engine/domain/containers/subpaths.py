"""Parts of volumes (`volume-subpath`): pinned, then mounted at a place of the daemon's own that the runtime binds from.

The path is resolved by the kernel and cannot leave the volume (openat2(2), RESOLVE_BENEATH); what was found then is
is mounted, whatever another container does to the volume meanwhile. Everything here blocks; call in a thread.
"""

import contextlib
import os
import stat
from pathlib import Path

from engine.core.errors import InvalidParameter
from engine.drivers.linux import syscalls

_RESOLVE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_MAGICLINKS
_BIND = syscalls.MS_BIND | syscalls.MS_REC


class SubpathUnavailable(InvalidParameter):
    """The path is not in the volume, or leads out of it."""

    def __init__(self, subpath: str, volume: Path, error: OSError) -> None:
        super().__init__(f'cannot access path "{subpath}" in volume {volume}: {error.strerror}')


def mount(volume: Path, subpath: str, target: Path) -> None:
    """Mount what a volume has at `subpath` on `target`, which is made. Raises SubpathUnavailable, OSError."""
    top = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = syscalls.openat2(top, subpath, os.O_PATH, resolve=_RESOLVE)
    except OSError as error:
        raise SubpathUnavailable(subpath, volume, error) from error
    finally:
        os.close(top)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_ISDIR(os.fstat(found).st_mode):
            target.mkdir()
        else:
            target.touch()
        syscalls.mount(f"/proc/self/fd/{found}", target, flags=_BIND)
    finally:
        os.close(found)


def unmount_all(directory: Path) -> None:
    """Unmount what `mount` has put below a directory; nothing happens where there is none."""
    if not directory.is_dir():
        return
    for target in list(directory.iterdir()):
        with contextlib.suppress(OSError):
            syscalls.umount(target, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
