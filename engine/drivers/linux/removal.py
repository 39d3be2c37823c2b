"""Deletes a tree by descriptors: never through a symbolic link, never into another filesystem, however deep it is.

Used where the names in the tree were chosen by somebody else while nobody else can change it any more.
"""

import contextlib
import errno
import os
import posixpath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class _Level:
    """A directory on the way down: its name in the one above, what it is, and its directories still to delete.

    Not a dataclass: the confined workers load this module, and `dataclasses` would cost them megabytes.
    """

    __slots__ = ("identity", "name", "pending")

    def __init__(self, name: str, identity: tuple[int, int], pending: list[str]) -> None:
        self.name = name
        self.identity = identity
        self.pending = pending


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Delete what is at `path`; nothing happens where nothing is. Raises OSError. Blocks; call in a thread."""
    above, name = posixpath.split(os.fspath(path))
    try:
        parent = os.open(above or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        remove_entry(parent, name)
    finally:
        os.close(parent)


def remove_entry(parent: int, name: str) -> None:
    """Delete the entry `name` of a directory, with all below it. Raises OSError. Blocks; call in a thread."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        _Removal(parent).run(name)


class _Removal:
    """Walks down and up with one open descriptor; the way up is checked against what the way down has seen."""

    def __init__(self, top: int) -> None:
        self._fd = os.open(".", _DIRECTORY, dir_fd=top)
        self._device = os.fstat(top).st_dev
        self._levels = [_Level("", self._identity(), [])]

    def run(self, name: str) -> None:
        try:
            self._down(name)
            while len(self._levels) > 1:
                pending = self._levels[-1].pending
                if pending:
                    self._down(pending.pop())
                else:
                    self._up()
        finally:
            os.close(self._fd)

    def _identity(self) -> tuple[int, int]:
        status = os.fstat(self._fd)
        return status.st_dev, status.st_ino

    def _move(self, name: str) -> None:
        fd = os.open(name, _DIRECTORY, dir_fd=self._fd)
        os.close(self._fd)
        self._fd = fd

    def _down(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=self._fd)
            return
        self._move(name)
        identity = self._identity()
        if identity[0] != self._device:
            raise OSError(errno.EXDEV, "a mount is in the way of deleting", name)
        self._levels.append(_Level(name, identity, self._delete_files()))

    def _up(self) -> None:
        level = self._levels.pop()
        self._move("..")
        if self._identity() != self._levels[-1].identity:
            raise OSError(errno.ESTALE, "the tree was changed while it was deleted", level.name)
        os.rmdir(level.name, dir_fd=self._fd)

    def _delete_files(self) -> list[str]:
        """Delete all but directories, whose names are returned."""
        directories = []
        with os.scandir(self._fd) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_directory in found:
            if is_directory:
                directories.append(name)
            else:
                os.unlink(name, dir_fd=self._fd)
        return directories
