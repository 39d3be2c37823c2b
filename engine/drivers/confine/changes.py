"""The job `changes`: what a container's own layer adds to, changes in and deletes from the layers below."""

import os
import stat
from collections.abc import Sequence
from typing import Any

from engine.drivers.confine.tree import is_whiteout
from engine.drivers.confine.walk import walk
from engine.drivers.confine.xattrs import is_opaque
from engine.drivers.linux.syscalls import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

_RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
MODIFIED, ADDED, DELETED = 0, 1, 2  # The Engine API's `ChangeType`.


def changes(upper: int, lowers: Sequence[int]) -> list[tuple[str, int]]:
    """Return paths from the container's root and what happened to them, in the order of the names. Blocks.

    `lowers` are descriptors of the layers below, the uppermost first. Names that are not UTF-8 come with replacements.
    """
    found: list[tuple[str, int]] = []
    for entry in walk(upper):
        path = f"/{entry.path.decode(errors='replace')}"
        if is_whiteout(entry.status):
            found.append((path, DELETED))
        else:
            found.append((path, MODIFIED if _exists(lowers, entry.path) else ADDED))
    return found


def _exists(lowers: Sequence[int], path: bytes) -> bool:
    above = path.rpartition(b"/")[0]
    for lower in lowers:
        if (status := _status(lower, path)) is not None:
            return not is_whiteout(status)
        if _hides(lower, above):
            return False
    return False


def _status(lower: int, path: bytes) -> os.stat_result | None:
    try:
        fd = openat2(lower, path, os.O_PATH | os.O_NOFOLLOW, resolve=_RESOLVE)
    except OSError:
        return None
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _hides(lower: int, path: bytes) -> bool:
    """Tell whether a layer hides what the layers below it have in a directory, or in one above that."""
    while path:
        status = _status(lower, path)
        if status is not None and (not stat.S_ISDIR(status.st_mode) or _opaque(lower, path)):
            return True
        path = path.rpartition(b"/")[0]
    return False


def _opaque(lower: int, path: bytes) -> bool:
    fd = openat2(lower, path, _DIRECTORY, resolve=_RESOLVE)
    try:
        return is_opaque(fd)
    finally:
        os.close(fd)


def job(root: int, _arguments: dict[str, Any], fds: Sequence[int]) -> Any:
    """Do the job as the workers know it."""
    return changes(root, fds)
