"""A tree that a client sends, entry by entry, brought into a directory of ours; what is there already is kept.

The client is not trusted. Entries must come as a walk yields them: each below a directory that came before it. Every
directory is opened relative to the one above, without following links, and files are opened with `openat2` beneath the
root: no name leads outside, whatever an earlier transfer has left. Everything here blocks; call in a thread.
"""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from engine.drivers.confine import xattrs
from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.confine.tree_entry import TreeEntry
from engine.drivers.linux.syscalls import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
_PERMISSIONS = 0o7777
_MAX_OPEN = 256


class TransferRefused(ArchiveRefused):
    """A client sends what no walk of a tree yields."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"invalid path {path!r} in transfer: {reason}")


class _Level:
    """A directory that entries may come below."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd
        self.before = set(os.listdir(fd))
        self.seen: set[str] = set()

    def leave(self) -> None:
        """Remove what has vanished."""
        for name in self.before - self.seen:
            _remove(self.fd, name)
        os.close(self.fd)


class TreeReceiver:
    """One transfer into one directory. Close it; it is complete after `finish` only."""

    def __init__(self, root: Path) -> None:
        """Raises OSError. Blocks; call in a thread."""
        self._levels = [_Level("", os.open(root, _DIRECTORY))]
        self._root = os.dup(self._levels[0].fd)
        self._entries = 0
        self._files: dict[str, TreeEntry] = {}
        self._wanted: dict[int, TreeEntry] = {}
        self._open: dict[int, int] = {}
        self._directories: list[TreeEntry] = []
        self._links: list[TreeEntry] = []

    @property
    def waiting(self) -> int:
        """How many files' content is still to come."""
        return len(self._wanted)

    def add(self, entry: TreeEntry) -> int | None:
        """Take the next entry; return its number where its content is wanted. Raises TransferRefused, OSError."""
        number, self._entries = self._entries, self._entries + 1
        level, name = self._enter(entry.path)
        if stat.S_ISREG(entry.mode) and entry.link:
            self._links.append(entry)
            return None
        found = _look(level, name)
        if stat.S_ISDIR(entry.mode):
            self._directory(level, name, entry, found)
        elif stat.S_ISREG(entry.mode):
            return self._file(level, name, entry, found, number)
        elif stat.S_ISLNK(entry.mode):
            _symlink(level, name, entry, found)
        elif stat.S_ISFIFO(entry.mode):
            _fifo(level, name, entry, found)
        else:
            # Devices and sockets are nothing that a build's input needs.
            level.seen.discard(name)
        return None

    def _enter(self, path: str) -> tuple[_Level, str]:
        above, _, name = path.rpartition("/")
        if name in ("", ".", "..") or "\0" in path or path[0] == "/":
            raise TransferRefused(path, "not a name")
        while self._levels[-1].path != above:
            if len(self._levels) == 1:
                raise TransferRefused(path, "no directory before it")
            self._levels.pop().leave()
        level = self._levels[-1]
        if name in level.seen:
            raise TransferRefused(path, "sent twice")
        level.seen.add(name)
        return level, name

    def _directory(self, level: _Level, name: str, entry: TreeEntry, found: os.stat_result | None) -> None:
        if found is not None and not stat.S_ISDIR(found.st_mode):
            _remove(level.fd, name)
            found = None
        if found is None:
            os.mkdir(name, 0o700, dir_fd=level.fd)
        below = _Level(entry.path, os.open(name, _DIRECTORY, dir_fd=level.fd))
        self._levels.append(below)
        os.fchown(below.fd, entry.uid, entry.gid)
        os.fchmod(below.fd, entry.mode & _PERMISSIONS)
        self._directories.append(entry)

    def _file(
        self, level: _Level, name: str, entry: TreeEntry, found: os.stat_result | None, number: int
    ) -> int | None:
        self._files[entry.path] = entry
        if found is not None and _same(found, entry):
            return None
        if found is not None:
            _remove(level.fd, name)
        self._wanted[number] = entry
        return number

    def write(self, number: int, data: bytes) -> None:
        """Add content to a file that was wanted; no content ends it. Raises TransferRefused, OSError."""
        entry = self._wanted.get(number)
        if entry is None:
            raise TransferRefused(str(number), "content that nobody asked for")
        fd = self._open.get(number, -1)
        if fd < 0:
            if len(self._open) >= _MAX_OPEN:
                raise TransferRefused(entry.path, "too many files at a time")
            fd = self._open[number] = openat2(self._root, entry.path, _NEW_FILE, resolve=_RESOLVE, mode=0o600)
        if data:
            _write(fd, data)
            return
        del self._wanted[number], self._open[number]
        try:
            _finish_file(fd, entry)
        finally:
            os.close(fd)

    def finish(self) -> None:
        """Make hard links, remove what has vanished, set the directories' times. Raises TransferRefused, OSError."""
        while self._levels:
            self._levels.pop().leave()
        for link in self._links:
            self._hard_link(link)
        for directory in reversed(self._directories):
            fd = openat2(self._root, directory.path, _DIRECTORY, resolve=_RESOLVE)
            try:
                os.utime(fd, ns=(directory.mtime, directory.mtime))
            finally:
                os.close(fd)

    def _hard_link(self, link: TreeEntry) -> None:
        if link.link not in self._files:
            raise TransferRefused(link.path, "a hard link to nothing")
        source, source_name = self._above(link.link)
        target, target_name = self._above(link.path)
        try:
            _remove(target, target_name)
            os.link(source_name, target_name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        finally:
            os.close(source)
            os.close(target)

    def _above(self, path: str) -> tuple[int, str]:
        above, _, name = path.rpartition("/")
        return openat2(self._root, above or ".", _DIRECTORY, resolve=_RESOLVE), name

    def close(self) -> None:
        """Close all that is open."""
        for fd in (*self._open.values(), *(level.fd for level in self._levels), self._root):
            os.close(fd)
        self._open.clear()
        self._levels.clear()


def _look(level: _Level, name: str) -> os.stat_result | None:
    if name not in level.before:
        return None
    return os.stat(name, dir_fd=level.fd, follow_symlinks=False)


def _same(found: os.stat_result, entry: TreeEntry) -> bool:
    return (found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns) == (
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        entry.mtime,
    )


def _remove(above: int, name: str) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=above)
        else:
            os.unlink(name, dir_fd=above)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _finish_file(fd: int, entry: TreeEntry) -> None:
    if entry.uid or entry.gid:
        os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode & _PERMISSIONS)
    if entry.xattrs:
        xattrs.set_on(fd, {os.fsencode(name): value for name, value in entry.xattrs.items()})
    # Last: with this time it counts as complete.
    os.utime(fd, ns=(entry.mtime, entry.mtime))


def _symlink(level: _Level, name: str, entry: TreeEntry, found: os.stat_result | None) -> None:
    if found is not None:
        if stat.S_ISLNK(found.st_mode) and os.readlink(name, dir_fd=level.fd) == entry.link:
            return
        _remove(level.fd, name)
    os.symlink(entry.link, name, dir_fd=level.fd)
    _times(level, name, entry)


def _fifo(level: _Level, name: str, entry: TreeEntry, found: os.stat_result | None) -> None:
    if found is not None:
        _remove(level.fd, name)
    os.mkfifo(name, entry.mode & _PERMISSIONS, dir_fd=level.fd)
    _times(level, name, entry)


def _times(level: _Level, name: str, entry: TreeEntry) -> None:
    os.chown(name, entry.uid, entry.gid, dir_fd=level.fd, follow_symlinks=False)
    os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=level.fd, follow_symlinks=False)
