"""One copy of a build: COPY and ADD. From a tree behind a descriptor into the process's own root.

As `fsutil/copy`: a directory's content is merged into the destination, files replace files, a directory and anything
else do not replace one another. Links are copied as links, hard links stay such.
"""

import os
import posixpath
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from engine.drivers.confine.copy_up import copy_data
from engine.drivers.confine.decompress import chunks
from engine.drivers.confine.extract import Extractor
from engine.drivers.confine.failures import ArchiveRefused, CopyRefused, EntryMissing, PathMissing
from engine.drivers.confine.file_mode import changed
from engine.drivers.confine.inherit import Inheritance
from engine.drivers.confine.into import Directories, Made, closed, end_of_links, make_directories
from engine.drivers.confine.select import resolved
from engine.drivers.confine.selection import Selection, chosen
from engine.drivers.confine.tar_header import Entry
from engine.drivers.confine.tar_reader import TarReader
from engine.drivers.confine.tree import Tree
from engine.drivers.confine.walk import Found
from engine.drivers.confine.xattrs import copied, set_on
from engine.drivers.linux.removal import remove_entry

_MAGIC_END = 262
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class _Source:
    """Something that is no directory: found in a walk, or by its path in the source tree."""

    __slots__ = ("_fd", "_found", "_path", "_top", "status")

    def __init__(self, status: os.stat_result, found: Found | None = None) -> None:
        self.status = status
        self._found = found
        self._top = self._fd = -1
        self._path = b""

    @classmethod
    def at(cls, top: int, path: bytes, fd: int) -> "_Source":
        """Return what is at a path, of which `fd` is open without being readable."""
        source = cls(os.fstat(fd))
        source._top, source._path, source._fd = top, path, fd
        return source

    def open(self) -> int:
        """Open a file to read it."""
        if self._found is not None:
            return self._found.open()
        return resolved(self._top, self._path, os.O_RDONLY | os.O_NONBLOCK)

    def target(self) -> bytes:
        """Return where a link leads to."""
        if self._found is not None:
            return os.readlink(self._found.name, dir_fd=self._found.above)
        return os.readlink(b"", dir_fd=self._fd)


class _Place(NamedTuple):
    """Where something is copied to: a name in an open directory, which is `path` below the directory `top`."""

    above: int
    name: bytes
    top: str
    path: bytes

    def shown(self) -> str:
        """Return what messages call it."""
        return posixpath.join(self.top, os.fsdecode(self.path))


class Copy:
    """A copy of one or several paths to one destination."""

    def __init__(self, action: dict[str, Any], top: int) -> None:
        self._action = action
        self._top = top
        self._made = Made.of(action)
        self._mode: str = action.get("mode", "")
        self._selection = Selection(action)
        self._links: dict[tuple[int, int], tuple[str, bytes]] = {}

    def run(self) -> None:
        """Copy. Raises PathMissing, ArchiveRefused, OSError."""
        paths = self._selection.paths(self._top, kind=EntryMissing)
        if not paths and not self._action["empty_wildcard"]:
            raise PathMissing(self._action["path"])
        if not self._action["create_dest"]:
            Path(posixpath.dirname(_clean(self._action["dest"]))).lstat()
        for path in paths:
            self._one(path)

    def _one(self, path: bytes) -> None:
        source = self._selection.open(self._top, path)
        try:
            if stat.S_ISDIR(os.fstat(source).st_mode):
                self._directory(source, path)
                return
            found = _Source.at(self._top, path, source)
            if not (self._action["unpack"] and self._unpacked(found)):
                self._single(path, found)
        finally:
            os.close(source)

    def _directory(self, source: int, path: bytes) -> None:
        dest, contents = _clean(self._action["dest"]), self._action["contents"]
        if not contents and Path(dest).is_dir():
            dest = posixpath.join(dest, os.fsdecode(path.rpartition(b"/")[2]))
        whole = not contents and not Path(dest).exists()
        if not self._action["dest"].endswith(("/", "/.")):
            make_directories(posixpath.dirname(dest), self._made)
            dest = end_of_links(dest)
            if Path(dest).exists() and not Path(dest).is_dir():
                raise CopyRefused(f"cannot copy to non-directory: {dest}")
        dest = make_directories(dest, self._made)
        self._merge(source, dest)
        self._finish(dest, source, whole=whole)

    def _finish(self, dest: str, source: int, *, whole: bool) -> None:
        """The destination itself gets the source's time, and a mode that is given in digits; all where it is a copy."""
        readable, target = os.open(".", _DIRECTORY, dir_fd=source), os.open(dest, _DIRECTORY)
        status = os.fstat(source)
        try:
            if whole:
                self.describe(target, readable, status)
            elif self._mode.isdigit():
                os.fchmod(target, self.mode_of(status))
            self.set_times(target, status)
        finally:
            closed([readable, target])

    def _single(self, path: bytes, source: _Source) -> None:
        name, dest = path.rpartition(b"/")[2], self._action["dest"]
        if dest.endswith(("/", "/.")):
            above = make_directories(_clean(dest), self._made)
        elif Path(_clean(dest)).is_dir():
            above = _clean(dest)
        else:
            # A link at the very destination is followed, even one that leads nowhere yet.
            above, _, last = end_of_links(_clean(dest)).rpartition("/")
            name = os.fsencode(last)
            above = make_directories(above or "/", self._made)
        directory = os.open(above, _DIRECTORY)
        try:
            self._entry(source, _Place(directory, name, above, name))
        finally:
            os.close(directory)

    def _merge(self, source: int, target: str) -> None:
        """Merge what is wanted of a directory's content into another directory."""
        walked = os.open(".", _DIRECTORY, dir_fd=source)
        into = Directories(target, walked, self)
        try:
            for found in chosen(walked, self._selection):
                if found.is_directory:
                    into.enter(found.path)
                else:
                    self._file_of(found, into.enter(found.path.rpartition(b"/")[0]), target)
        finally:
            into.close()
            os.close(walked)

    def _file_of(self, found: Found, above: int, target: str) -> None:
        place = _Place(above, found.name, target, found.path)
        if found.status.st_nlink == 1:
            self._entry(_Source(found.status, found), place)
            return
        inode = found.status.st_dev, found.status.st_ino
        if inode in self._links:
            top, first = self._links[inode]
            self._make_way(place)
            os.link(os.fsencode(top) + b"/" + first, found.name, dst_dir_fd=above, follow_symlinks=False)
            return
        self._entry(_Source(found.status, found), place)
        self._links[inode] = (target, found.path)

    def _entry(self, source: _Source, place: _Place) -> None:
        kind = stat.S_IFMT(source.status.st_mode)
        if kind == stat.S_IFREG:
            self._regular(source, place)
            return
        self._make_way(place)
        above, name = place.above, place.name
        if kind == stat.S_IFLNK:
            os.symlink(source.target(), name, dir_fd=above)
            self._describe_name(source, above, name)
        elif kind != stat.S_IFSOCK:
            os.mknod(name, source.status.st_mode, source.status.st_rdev, dir_fd=above)
            os.chmod(name, self.mode_of(source.status), dir_fd=above)
            self._describe_name(source, above, name)

    def _make_way(self, place: _Place) -> None:
        try:
            present = os.stat(place.name, dir_fd=place.above, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(present.st_mode) and not self._action["replace"]:
            raise CopyRefused(f"cannot replace to directory {place.shown()} with file")
        remove_entry(place.above, os.fsdecode(place.name))

    def _new_file(self, place: _Place) -> int:
        try:
            return os.open(place.name, _NEW_FILE, 0o600, dir_fd=place.above)
        except FileExistsError:
            self._make_way(place)
            return os.open(place.name, _NEW_FILE, 0o600, dir_fd=place.above)

    def _regular(self, source: _Source, place: _Place) -> None:
        opened = source.open()
        try:
            target = self._new_file(place)
            try:
                copy_data(opened, target, source.status)
                self.describe(target, opened, source.status)
                self.set_times(target, source.status)
            finally:
                os.close(target)
        finally:
            os.close(opened)

    def _describe_name(self, source: _Source, above: int, name: bytes) -> None:
        os.chown(name, *self._made.owner(source.status), dir_fd=above, follow_symlinks=False)
        os.utime(name, ns=self._made.times(source.status), dir_fd=above, follow_symlinks=False)

    def set_times(self, target: int, status: os.stat_result) -> None:
        """Give a copied file or directory its times, when nothing changes in it any more."""
        os.utime(target, ns=self._made.times(status))

    def mode_of(self, status: os.stat_result) -> int:
        """Return the permissions of the copy of something."""
        return changed(self._mode, status.st_mode) if self._mode else stat.S_IMODE(status.st_mode)

    def describe(self, target: int, source: int, status: os.stat_result) -> None:
        """Give a copied file or directory owner, permissions and attributes."""
        os.fchown(target, *self._made.owner(status))
        os.fchmod(target, self.mode_of(status))
        set_on(target, dict(copied(source)))

    def _unpacked(self, found: _Source) -> bool:
        """Unpack an archive; tell whether it was one."""
        if not stat.S_ISREG(found.status.st_mode):
            return False
        source = found.open()
        try:
            if not is_archive(source):
                return False
            _unpack(source, make_directories(_clean(self._action["dest"]), self._made), self._made)
            return True
        finally:
            os.close(source)


class _Owned(TarReader):
    """An archive whose entries all belong to one owner, where one is given."""

    def __init__(self, read: Callable[[], bytes | memoryview], made: Made) -> None:
        super().__init__(read)
        self._made = made

    def __iter__(self) -> Iterator[Entry]:
        for entry in super().__iter__():
            entry.uid = entry.uid if self._made.uid is None else self._made.uid
            entry.gid = entry.gid if self._made.gid is None else self._made.gid
            yield entry


def _unpack(source: int, where: str, made: Made) -> None:
    tree = Tree(os.open(where, _DIRECTORY), Inheritance([]))
    try:
        pieces = chunks(source)
        Extractor(tree).run(_Owned(lambda: next(pieces, b""), made))
    finally:
        tree.close()
        os.close(tree.root)


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def is_archive(fd: int) -> bool:
    """Tell whether a file is a tar archive, compressed or not; its offset is at its start again."""
    pieces = chunks(fd)
    try:
        start = b""
        while len(start) < _MAGIC_END and (piece := next(pieces, b"")):
            start += piece
        return start[257:_MAGIC_END] == b"ustar"
    except ArchiveRefused:
        return False
    finally:
        os.lseek(fd, 0, os.SEEK_SET)
