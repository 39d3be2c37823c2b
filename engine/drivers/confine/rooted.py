"""Small accesses inside a tree that somebody else filled: the kernel resolves each name as if the tree were `/`.

`openat2` with RESOLVE_IN_ROOT on a descriptor of the root (openat2(2), Linux 5.6) needs no process of its own: no
symbolic link or `..` leads outside, even while a container changes the tree. Everything here blocks; call in a thread.
"""

import errno
import os
import posixpath
import stat
from collections import deque
from pathlib import Path

from engine.drivers.confine.failures import NotADirectory
from engine.drivers.linux.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_MAX_LINKS = 40


def read_file(root: Path, path: str, limit: int) -> bytes | None:
    """Return a file's content, or None where there is none at `path`: missing, not a regular file, over `limit` bytes.

    Raises OSError where `root` itself cannot be opened, or reading fails. Blocks; call in a thread.
    """
    top = os.open(root, _DIRECTORY)
    try:
        return _read(top, path, limit)
    finally:
        os.close(top)


def _read(top: int, path: str, limit: int) -> bytes | None:
    try:
        # Opening a device or a FIFO can act or hang: look first, with a descriptor that cannot be read.
        found = openat2(top, path, os.O_PATH, resolve=_RESOLVE)
    except OSError:
        return None
    try:
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            return None
        with open(f"/proc/self/fd/{found}", "rb") as file:  # noqa: PTH123 (not a path: a descriptor, reopened)
            data = file.read(limit + 1)
        return data if len(data) <= limit else None
    finally:
        os.close(found)


def ensure_directory(root: Path, path: str, uid: int, gid: int) -> None:
    """Make a directory and those above it that are missing (mode 0755, that owner). Blocks; call in a thread.

    Raises NotADirectory where something else is in the way. Symbolic links are followed inside the root, to names that
    do not exist yet as well (moby `container.SetupWorkingDirectory`).
    """
    top = os.open(root, _DIRECTORY)
    try:
        _Maker(top, path, (uid, gid)).ensure(posixpath.normpath("/" + path))
    finally:
        os.close(top)


class _Maker:
    """Makes missing directories below one pinned root."""

    def __init__(self, top: int, wanted: str, owner: tuple[int, int]) -> None:
        self._top = top
        self._wanted = wanted
        self._owner = owner
        self._links = 0

    def ensure(self, path: str) -> None:
        """Make `path`, an absolute path inside the root; components that exist are resolved by the kernel."""
        if self._exists(path):
            return
        done, pending = "/", deque(path.split("/"))
        while pending:
            name = pending.popleft()
            step = posixpath.join(done, name)
            if name in ("", ".") or self._exists(step) or (target := self._make(done, name)) is None:
                done = step
            else:
                pending.extendleft(reversed(target.split("/")))
                done = "/" if target.startswith("/") else done

    def _exists(self, path: str) -> bool:
        try:
            os.close(openat2(self._top, path, _DIRECTORY, resolve=_RESOLVE))
        except FileNotFoundError:
            return False
        except NotADirectoryError as error:
            raise NotADirectory(self._wanted) from error
        return True

    def _make(self, parent: str, name: str) -> str | None:
        """Make one directory; a link that leads nowhere yet is there already: return its target."""
        above = openat2(self._top, parent, _DIRECTORY, resolve=_RESOLVE)
        try:
            os.mkdir(name, 0o755, dir_fd=above)
            self._hand_over(above, name)
        except FileExistsError:
            return self._target(above, name)
        finally:
            os.close(above)
        return None

    def _hand_over(self, above: int, name: str) -> None:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        try:
            os.fchown(fd, *self._owner)
            os.fchmod(fd, 0o755)
        finally:
            os.close(fd)

    def _target(self, above: int, name: str) -> str | None:
        self._links += 1
        if self._links > _MAX_LINKS:
            raise NotADirectory(self._wanted)
        try:
            return os.readlink(name, dir_fd=above)
        except OSError as error:
            if error.errno == errno.EINVAL:  # Not a link: a directory that somebody else has just made.
                return None
            raise
