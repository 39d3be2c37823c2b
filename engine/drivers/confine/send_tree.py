"""A tree walked for sending, entry by entry. Nothing in it is followed. Everything here blocks; call in a thread."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from engine.drivers.confine import xattrs
from engine.drivers.confine.tree_entry import TreeEntry
from engine.drivers.linux.syscalls import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS


class TreeSender:
    """A tree, for as long as it is sent. Close it."""

    def __init__(self, root: Path) -> None:
        """Raises OSError. Blocks; call in a thread."""
        self._root = os.open(root, _DIRECTORY)
        self._inodes: dict[tuple[int, int], str] = {}

    def entries(self) -> list[TreeEntry]:
        """Return all entries, each directory before what is in it, names in order. Raises OSError."""
        return list(self._walk(self._root, ""))

    def _walk(self, above: int, prefix: str) -> Iterator[TreeEntry]:
        for name in sorted(os.listdir(above), key=os.fsencode):
            found = os.stat(name, dir_fd=above, follow_symlinks=False)
            if stat.S_ISSOCK(found.st_mode):
                continue
            yield self._entry(above, name, prefix + name, found)
            if stat.S_ISDIR(found.st_mode):
                fd = os.open(name, _DIRECTORY, dir_fd=above)
                try:
                    yield from self._walk(fd, f"{prefix}{name}/")
                finally:
                    os.close(fd)

    def _entry(self, above: int, name: str, path: str, found: os.stat_result) -> TreeEntry:
        link = os.readlink(name, dir_fd=above) if stat.S_ISLNK(found.st_mode) else ""
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            first = self._inodes.setdefault((found.st_dev, found.st_ino), path)
            link = first if first != path else ""
        return TreeEntry(
            path=path,
            mode=found.st_mode,
            uid=found.st_uid,
            gid=found.st_gid,
            size=found.st_size if stat.S_ISREG(found.st_mode) and not link else 0,
            mtime=found.st_mtime_ns,
            link=link,
            xattrs=self._xattrs(path, found),
        )

    def _xattrs(self, path: str, found: os.stat_result) -> dict[str, bytes]:
        if not stat.S_ISREG(found.st_mode):
            return {}
        fd = self.open(path)
        try:
            return {os.fsdecode(name): value for name, value in xattrs.copied(fd)}
        finally:
            os.close(fd)

    def open(self, path: str) -> int:
        """Open a regular file of the tree for reading. Raises OSError."""
        return openat2(self._root, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, resolve=_RESOLVE)

    def close(self) -> None:
        """Close the tree."""
        os.close(self._root)
