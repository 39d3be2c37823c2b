"""What a directory gets that an archive implies but does not describe: the looks of the same one in the layers below.

Without it, a layer that holds `tmp/x` and no `tmp/` would make `/tmp` unwritable (containerd's `mkparent`).
"""

import contextlib
import os
import stat
from collections.abc import Sequence

from engine.drivers.confine.xattrs import copied
from engine.drivers.linux.syscalls import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Inheritance:
    """Looks up directories in the trees below, the uppermost first."""

    def __init__(self, parents: Sequence[int]) -> None:
        """`parents` are descriptors of the trees' top directories."""
        self._parents = parents

    def apply(self, path: bytes, made: int) -> None:
        """Give the new directory behind `made` owner, mode, attributes and time of the one that it stands for."""
        for parent in self._parents:
            try:
                found = openat2(parent, path, _DIRECTORY, resolve=_RESOLVE)
            except FileNotFoundError:
                continue
            except OSError:
                return  # A file, a link or a whiteout: the directory is new.
            try:
                _copy(found, made)
            finally:
                os.close(found)
            return


def _copy(found: int, made: int) -> None:
    status = os.fstat(found)
    os.fchown(made, status.st_uid, status.st_gid)
    os.fchmod(made, stat.S_IMODE(status.st_mode))
    for name, value in copied(found):
        with contextlib.suppress(OSError):
            os.setxattr(made, name, value)
    os.utime(made, ns=(status.st_mtime_ns, status.st_mtime_ns))
