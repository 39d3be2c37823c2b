"""Parts of volumes and images (`volume-subpath`): pinned, then mounted at a place of the daemon's own, which the
runtime binds from.

The path is resolved by the kernel and cannot leave the base (openat2(2), RESOLVE_BENEATH); what was found then is
mounted, whatever another container does to the volume meanwhile. Everything here blocks; call in a thread.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path

from engine.core.errors import InvalidParameter, NotFound
from engine.drivers.linux import syscalls

_RESOLVE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_MAGICLINKS
_BIND = syscalls.MS_BIND | syscalls.MS_REC


class SubpathMissing(NotFound):
    """Nothing is there."""

    def __init__(self, subpath: str, base: Path, error: OSError) -> None:
        path = base / subpath
        super().__init__(f"cannot access path {path}: lstat {path}: {str(error.strerror).lower()}")


class SubpathEscapes(InvalidParameter):
    """A symbolic link leads out of the volume or image."""

    def __init__(self, subpath: str, base: Path) -> None:
        super().__init__(f"path concatenation escapes the base directory, base: {base}, subpath: {subpath}")


def mount(base: Path, subpath: str, target: Path) -> None:
    """Mount what `base` has at `subpath` on `target`, which is made. Raises SubpathMissing, SubpathEscapes, OSError."""
    top = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = syscalls.openat2(top, subpath, os.O_PATH, resolve=_RESOLVE)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise SubpathEscapes(subpath, base) from error
        raise SubpathMissing(subpath, base, error) from error
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
