"""The directories of a tree by name, as open descriptors: no name is resolved by more than one component at a time.

Each step opens one component below a pinned directory without following a link. A symbolic link on the way is read and
followed here, as if the tree were `/`; one that climbs above the tree is refused. Missing directories are made.
"""

import errno
import os
import stat

from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.confine.inherit import Inheritance
from engine.drivers.linux.removal import remove_entry

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAX_OPEN = 200
_MAX_LINKS = 40
_MAX_PATH = 4096


def shown(name: bytes) -> str:
    """Return a name of the archive for a message."""
    return name.decode(errors="backslashreplace")


def clean(name: bytes) -> bytes:
    """Return the name without `.`, `..` and needless slashes; relative to the tree. Raises ArchiveRefused."""
    name = name.strip(b"/")
    if name.startswith(b"./"):
        name = name[2:]
    if b"/." in name or b"//" in name or name[:1] in (b".", b"/"):
        name = b"/".join(_normalised(name))
    if len(name) >= _MAX_PATH or b"\0" in name:
        raise ArchiveRefused(f"invalid name in the archive: {shown(name[:64])}…")
    return name


def _normalised(name: bytes) -> list[bytes]:
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise ArchiveRefused(f'"{shown(name)}" leads outside the tree')
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return parts


class Tree:
    """A tree that is being filled, by nobody else."""

    def __init__(self, root: int, inheritance: Inheritance) -> None:
        """`root` is a descriptor of the top directory, which stays the caller's."""
        self.root = root
        self._inheritance = inheritance
        self._open: dict[bytes, int] = {}
        self._links: dict[bytes, bytes] = {}
        self.made = 0

    def close(self) -> None:
        """Close all descriptors."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def directory(self, path: bytes, *, make: bool = True) -> int:
        """Return a descriptor of a directory, good until `trim` or `remove`. Raises ArchiveRefused, OSError."""
        fd = self._open.get(path)
        if fd is not None:
            return fd
        return self._walk(self.real(path), make) if path else self.root

    def real(self, path: bytes) -> bytes:
        """Return the path without the links that were met on it so far."""
        if not self._links:
            return path
        for _ in range(_MAX_LINKS):
            prefix = self._linked_prefix(path)
            if prefix is None:
                return path
            path = _joined(self._links[prefix], path[len(prefix) + 1 :])
        raise ArchiveRefused(f'too many links on the way to "{shown(path)}"')

    def entry_path(self, above: bytes, path: bytes) -> bytes:
        """Return the path of an entry, of which `above` is the directory, without links on it."""
        return _joined(self.real(above), path.rpartition(b"/")[2]) if self._links else path

    def _linked_prefix(self, path: bytes) -> bytes | None:
        end = path.find(b"/")
        while end >= 0:
            if path[:end] in self._links:
                return path[:end]
            end = path.find(b"/", end + 1)
        return path if path in self._links else None

    def _walk(self, path: bytes, make: bool) -> int:
        """Open a directory from the deepest one above it that is open already."""
        above = path
        while above and above not in self._open:
            above = above.rpartition(b"/")[0]
        fd = self._open[above] if above else self.root
        for name in path[len(above) :].strip(b"/").split(b"/"):
            if not name:
                continue
            here = _joined(above, name)
            try:
                fd = self._step(fd, name, here, make)
            except NotADirectoryError:
                self._links[here] = self._target(fd, name, above)
                return self.directory(path, make=make)
            self._open[here] = fd
            above = here
        return fd

    def _step(self, fd: int, name: bytes, path: bytes, make: bool) -> int:
        try:
            return os.open(name, _DIRECTORY, dir_fd=fd)
        except FileNotFoundError:
            if not make:
                raise
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise NotADirectoryError from error
            raise
        os.mkdir(name, 0o755, dir_fd=fd)
        made = os.open(name, _DIRECTORY, dir_fd=fd)
        self._inheritance.apply(path, made)
        self.made += 1
        return made

    def trim(self) -> None:
        """Close directories where too many are open; between entries, when none is in use."""
        if len(self._open) > _MAX_OPEN:
            for path in list(self._open)[: _MAX_OPEN // 2]:
                os.close(self._open.pop(path))

    def _target(self, fd: int, name: bytes, above: bytes) -> bytes:
        """Return where a link in the way leads, as a path in the tree."""
        try:
            target = os.readlink(name, dir_fd=fd)
        except OSError as error:
            raise ArchiveRefused(f'"{shown(_joined(above, name))}" is not a directory') from error
        return clean(target) if target.startswith(b"/") else clean(_joined(above, target))

    def remove(self, fd: int, path: bytes) -> None:
        """Delete an entry, whatever it is, with all below it; `fd` is the directory that it is in."""
        below = path + b"/"
        for known in [p for p in self._open if p == path or p.startswith(below)]:
            os.close(self._open.pop(known))
        for known in [p for p in self._links if p == path or p.startswith(below)]:
            del self._links[known]
        remove_entry(fd, os.fsdecode(path.rpartition(b"/")[2]))

    def status(self, fd: int, name: bytes) -> os.stat_result | None:
        """Return what is at a name, None where nothing is."""
        try:
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return None


def _joined(above: bytes, name: bytes) -> bytes:
    return above + b"/" + name if above and name else above or name


def is_whiteout(status: os.stat_result) -> bool:
    """Tell whether this is overlayfs's mark for a deleted name: a character device 0/0 (kernel doc "overlayfs")."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
