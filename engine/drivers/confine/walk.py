"""Goes through a tree by descriptors, in the order of the names' bytes, without following links or entering mounts."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Found:
    """One entry: `path` below the tree, `name` in the open directory `above`, what it is. Valid until the next one."""

    __slots__ = ("above", "name", "path", "status")

    def __init__(self, path: bytes, above: int, name: bytes, status: os.stat_result) -> None:
        self.path = path
        self.above = above
        self.name = name
        self.status = status

    @property
    def is_directory(self) -> bool:
        """Tell whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)

    def open(self, flags: int = os.O_RDONLY) -> int:
        """Open it, which must be a regular file or a directory."""
        return os.open(self.name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.above)


class _Level:
    """A directory that is being gone through: its path, a descriptor, and the names to come, the next one last."""

    __slots__ = ("fd", "names", "path")

    def __init__(self, path: bytes, fd: int) -> None:
        self.path = path
        self.fd = fd
        with os.scandir(fd) as entries:
            self.names = sorted((os.fsencode(entry.name) for entry in entries), reverse=True)


def walk(root: int, *, prefix: bytes = b"", mounts: bool = False) -> Iterator[Found]:
    """Yield all that is below the directory `root`, each directory before its content. What vanishes is left out.

    Paths begin with `prefix`; with `mounts`, what is mounted in the tree is gone through as well.
    A directory that is deeper than descriptors suffice for is an OSError (EMFILE).
    """
    device = os.fstat(root).st_dev
    levels = [_Level(prefix, os.open(".", _DIRECTORY, dir_fd=root))]
    try:
        while levels:
            level = levels[-1]
            if not level.names:
                os.close(levels.pop().fd)
                continue
            found = _found(level, level.names.pop())
            if found is None:
                continue
            yield found
            if found.is_directory and (mounts or found.status.st_dev == device):
                _descend(levels, found)
    finally:
        for level in levels:
            os.close(level.fd)


def _found(level: _Level, name: bytes) -> Found | None:
    try:
        status = os.stat(name, dir_fd=level.fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return Found(level.path + name, level.fd, name, status)


def _descend(levels: list[_Level], found: Found) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        try:
            levels.append(_Level(found.path + b"/", found.open(_DIRECTORY)))
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
