"""The job `build_copy`: COPY and ADD. The process's root is the step's own tree; sources lie in trees given to it.

As BuildKit's `fileop`: a directory's content is merged into the destination, a file goes into it where it is a
directory or ends with a slash, missing directories are made (0755) for the copy's owner.
"""

import contextlib
import os
import posixpath
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.drivers.confine.copy_up import copy_data
from engine.drivers.confine.decompress import chunks
from engine.drivers.confine.extract import Extractor
from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.confine.inherit import Inheritance
from engine.drivers.confine.select import is_directory, resolved, select
from engine.drivers.confine.tar_reader import TarReader
from engine.drivers.confine.tree import Tree
from engine.drivers.confine.walk import Found, walk
from engine.drivers.confine.xattrs import copied, set_on
from engine.drivers.linux.removal import remove_entry

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def build_copy(arguments: dict[str, Any], tops: Sequence[int]) -> int:
    """Copy; return how many sources there were. Raises SourceMissing, ArchiveRefused, OSError. Blocks."""
    copier = _Copier(arguments)
    for source in arguments["sources"]:
        for path in select(tops[0], source, wildcards=arguments.get("wildcards", True)):
            copier.copy(tops[0], path)
    copier.finish()
    return copier.count


class _Copier:
    """Copies to one destination."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._dest: str = arguments["dest"]
        self._owner: tuple[int, int] = (arguments["uid"], arguments["gid"])
        self._keep_owner: bool = arguments.get("keep_owner", False)
        self._mode: int | None = arguments.get("mode")
        self._extract: bool = arguments.get("extract", False)
        self._times: list[tuple[int, os.stat_result]] = []
        self._directory_times: list[tuple[int, int]] = []
        self.count = 0

    def copy(self, top: int, path: bytes) -> None:
        """Copy one source."""
        self.count += 1
        source = resolved(top, path)
        try:
            if is_directory(source):
                self._merge(source, self._directory(self._dest))
            elif not (self._extract and self._extracted(top, path)):
                self._one_file(top, path, os.fstat(source))
        finally:
            os.close(source)

    def finish(self) -> None:
        """Give directories their times, which their content has changed."""
        for fd, status in reversed(self._times):
            os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.close(fd)

    def _directory(self, path: str) -> int:
        """Open a directory of the step's tree; make it and those above it where missing."""
        done = Path("/")
        for name in [part for part in path.split("/") if part not in ("", ".")]:
            done = done / name
            try:
                done.mkdir(mode=0o755)
            except FileExistsError:
                self._follow(done)
                continue
            os.chown(done, *self._owner)
        return os.open(done, _DIRECTORY)

    def _follow(self, path: Path) -> None:
        """A link that leads nowhere yet: make what it leads to (as `mkdir -p` on its target)."""
        if path.is_symlink() and not path.exists():
            target = posixpath.normpath(path.parent / path.readlink())
            os.close(self._directory(target))

    def _one_file(self, top: int, path: bytes, status: os.stat_result) -> None:
        name = path.rpartition(b"/")[2]
        dest = self._dest
        if not dest.endswith(("/", "/.")) and not Path(dest).is_dir():
            dest, _, last = dest.rpartition("/")
            name = os.fsencode(last)
        above = self._directory(dest)
        try:
            self._make_way(above, name, status)
            if stat.S_ISREG(status.st_mode):
                source = resolved(top, path, os.O_RDONLY | os.O_NONBLOCK)
                self._file(source, above, name, status)
            else:
                raise ArchiveRefused(f"cannot copy {os.fsdecode(path)}: not a regular file")
        finally:
            os.close(above)

    def _merge(self, source: int, target: int) -> None:
        """Merge the content of a directory into another one."""
        opened: list[tuple[bytes, int]] = [(b"", target)]
        for found in walk(source):
            above = found.path.rpartition(b"/")[0]
            while opened[-1][0] != above:
                self._leave(opened)
            self._entry(found, opened)
        while len(opened) > 1:
            self._leave(opened)
        self._describe(target, source, os.fstat(source), own=True)
        self._times.append((target, os.fstat(source)))

    def _leave(self, opened: list[tuple[bytes, int]]) -> None:
        _, fd = opened.pop()
        os.utime(fd, ns=self._directory_times.pop())
        os.close(fd)

    def _entry(self, found: Found, opened: list[tuple[bytes, int]]) -> None:
        above, status = opened[-1][1], found.status
        self._make_way(above, found.name, status)
        if found.is_directory:
            self._subdirectory(found, opened)
        elif stat.S_ISREG(status.st_mode):
            self._file(found.open(), above, found.name, status)
        elif not stat.S_ISSOCK(status.st_mode):
            self._special(found, above)

    def _subdirectory(self, found: Found, opened: list[tuple[bytes, int]]) -> None:
        above = opened[-1][1]
        with contextlib.suppress(FileExistsError):
            os.mkdir(found.name, 0o700, dir_fd=above)
        fd = os.open(found.name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        source = found.open(os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._describe(fd, source, found.status)
        finally:
            os.close(source)
        opened.append((found.path, fd))
        self._directory_times.append(self._time(found.status))

    def _make_way(self, above: int, name: bytes, status: os.stat_result) -> None:
        """Remove what is at a name, unless both are directories; a file does not replace a directory."""
        try:
            present = os.stat(name, dir_fd=above, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(present.st_mode):
            if not stat.S_ISDIR(status.st_mode):
                raise ArchiveRefused(f"cannot copy to non-directory: /{os.fsdecode(name)}")
            return
        remove_entry(above, os.fsdecode(name))

    def _file(self, source: int, above: int, name: bytes, status: os.stat_result) -> None:
        try:
            target = os.open(name, _NEW_FILE, 0o600, dir_fd=above)
            try:
                copy_data(source, target, status.st_size)
                self._describe(target, source, status)
                os.utime(target, ns=self._time(status))
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _special(self, found: Found, above: int) -> None:
        status, name = found.status, found.name
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=found.above), name, dir_fd=above)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=above)
        os.chown(name, *self._owner_of(status), dir_fd=above, follow_symlinks=False)
        os.utime(name, ns=self._time(status), dir_fd=above, follow_symlinks=False)

    def _time(self, status: os.stat_result) -> tuple[int, int]:
        return status.st_atime_ns, status.st_mtime_ns

    def _owner_of(self, status: os.stat_result) -> tuple[int, int]:
        return (status.st_uid, status.st_gid) if self._keep_owner else self._owner

    def _describe(self, target: int, source: int, status: os.stat_result, *, own: bool = False) -> None:
        os.fchown(target, *self._owner_of(status))
        mode = stat.S_IMODE(status.st_mode) if self._mode is None or own else self._mode
        os.fchmod(target, mode)
        if not stat.S_ISDIR(status.st_mode):
            set_on(target, dict(copied(source)))

    def _extracted(self, top: int, path: bytes) -> bool:
        """Unpack a local archive; tell whether it was one."""
        source = resolved(top, path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not _is_archive(source):
                return False
            tree = Tree(self._directory(self._dest), Inheritance([]))
            try:
                pieces = chunks(source)
                Extractor(tree).run(TarReader(lambda: next(pieces, b"")))
            finally:
                tree.close()
                os.close(tree.root)
            return True
        finally:
            os.close(source)


def _is_archive(fd: int) -> bool:
    """Tell whether a file is a tar archive, compressed or not; its offset is at its start again."""
    pieces = chunks(fd)
    try:
        start = next(pieces, b"")
        return start[257:262] == b"ustar"
    except ArchiveRefused:
        return False
    finally:
        os.lseek(fd, 0, os.SEEK_SET)
