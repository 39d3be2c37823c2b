"""Parts of volumes and images (`volume-subpath`): pinned, then mounted at a place of the daemon's own, which the
runtime binds from.

The path is resolved by the kernel and cannot leave the base (openat2(2), RESOLVE_BENEATH); what was found then is
mounted, whatever another container does to the volume meanwhile. Everything here blocks; call in a thread.
"""

import errno
from pathlib import Path

from engine.core.errors import InvalidParameter, NotFound
from engine.drivers.confine import pin
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
    try:
        found = pin.find(base, subpath, _RESOLVE)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise SubpathEscapes(subpath, base) from error
        raise SubpathMissing(subpath, base, error) from error
    pin.bind(found, target, _BIND)
