"""What is at a path of a tree: names are resolved as if the tree were `/`. Everything here blocks; call in a thread."""

import fnmatch
import os
import stat
from pathlib import Path

from engine.drivers.confine.tree_entry import TreeEntry
from engine.drivers.linux.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS


def entry_at(root: Path, path: str) -> TreeEntry:
    """Return what is at a path, itself not followed. Raises OSError. Blocks; call in a thread."""
    above, _, name = path.rstrip("/").rpartition("/")
    fd = _open(root, above, os.O_PATH | os.O_DIRECTORY)
    try:
        return _entry(fd, name or ".")
    finally:
        os.close(fd)


def entries_in(root: Path, path: str, pattern: str = "") -> list[TreeEntry]:
    """Return what is in a directory, names that fit `pattern` only. Raises OSError. Blocks; call in a thread."""
    fd = _open(root, path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with os.scandir(fd) as found:
            names = sorted(each.name for each in found if not pattern or fnmatch.fnmatchcase(each.name, pattern))
        return [_entry(fd, name) for name in names]
    finally:
        os.close(fd)


def _open(root: Path, path: str, flags: int) -> int:
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return openat2(top, path or "/", flags, resolve=_RESOLVE)
    finally:
        os.close(top)


def _entry(above: int, name: str) -> TreeEntry:
    found = os.stat(name, dir_fd=above, follow_symlinks=False)
    return TreeEntry(
        path=name,
        mode=found.st_mode,
        uid=found.st_uid,
        gid=found.st_gid,
        size=found.st_size if stat.S_ISREG(found.st_mode) else 0,
        mtime=found.st_mtime_ns,
        link=os.readlink(name, dir_fd=above) if stat.S_ISLNK(found.st_mode) else "",
    )
