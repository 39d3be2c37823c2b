"""The job `copy_up`: what an image has at a volume's place becomes the first content of the empty volume.

As moby's `container.CopyImagePathContent`: also owner and mode of the directory; nothing where the volume has content
already, or the image no directory there.
"""

import errno
import os
import stat

from engine.drivers.confine.walk import Found, walk
from engine.drivers.confine.xattrs import copied, set_on

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY = 1 << 24
_BLOCK = 512  # The unit of `st_blocks`, whatever the filesystem (stat(3type)).


def copy_up(path: str, target: int) -> bool:
    """Copy the content of the directory `path`, resolved in the process's root, into the directory `target`.

    `target` is a mount that is attached nowhere: another container that changes the volume meanwhile cannot lead the
    copy out of it. Tells whether it did. Raises OSError. Blocks.
    """
    volume = os.open(".", _DIRECTORY, dir_fd=target)
    try:
        source = _source(path)
        if source is None:
            return False
        try:
            return _copy_into(volume, source)
        finally:
            os.close(source)
    finally:
        os.close(volume)


def _source(path: str) -> int | None:
    try:
        return os.open(path, _DIRECTORY)
    except OSError:
        return None


def _copy_into(volume: int, source: int) -> bool:
    with os.scandir(volume) as entries:
        if any(True for _ in entries):
            return False
    _Copier(volume).run(source)
    return True


class _Copier:
    """Copies one tree. `walk` gives each directory before its content: what is open is the way to where we are."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._here = b""
        self._open: list[tuple[int, os.stat_result]] = []
        self._links: dict[tuple[int, int], bytes] = {}

    def run(self, source: int) -> None:
        status = os.fstat(source)
        try:
            for found in walk(source):
                above = self._enter(found.path.rpartition(b"/")[0])
                if not self._link(found, above):
                    self._copy(found, above)
        finally:
            self._enter(b"")
        _describe(self._target, source, status)
        os.utime(self._target, ns=_times(status))

    def _enter(self, path: bytes) -> int:
        """Leave the directories that are done, and return the one that is `path`."""
        while self._here and self._here != path and not path.startswith(self._here + b"/"):
            fd, status = self._open.pop()
            self._here = self._here.rpartition(b"/")[0]
            os.utime(fd, ns=_times(status))  # What was made in it has changed its time.
            os.close(fd)
        return self._open[-1][0] if self._open else self._target

    def _link(self, found: Found, above: int) -> bool:
        """Make a hard link to what is copied already. The target is a mount of its own, which no `..` leaves."""
        if found.status.st_nlink < 2 or found.is_directory:
            return False
        inode = found.status.st_dev, found.status.st_ino
        if inode not in self._links:
            self._links[inode] = found.path
            return False
        os.link(self._links[inode], found.name, src_dir_fd=self._target, dst_dir_fd=above, follow_symlinks=False)
        return True

    def _copy(self, found: Found, above: int) -> None:
        kind = stat.S_IFMT(found.status.st_mode)
        if kind == stat.S_IFDIR:
            os.mkdir(found.name, 0o700, dir_fd=above)
            target = os.open(found.name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
            self._open.append((target, found.status))
            self._here = found.path
            _describe_opened(found, target)
        elif kind == stat.S_IFREG:
            target = os.open(found.name, _NEW_FILE, 0o600, dir_fd=above)
            try:
                _describe_opened(found, target)
                os.utime(target, ns=_times(found.status))
            finally:
                os.close(target)
        elif kind != stat.S_IFSOCK:
            _make_special(found, above)


def _describe_opened(found: Found, target: int) -> None:
    source = found.open()
    try:
        if not found.is_directory:
            copy_data(source, target, found.status)
        _describe(target, source, found.status)
    finally:
        os.close(source)


def _times(status: os.stat_result) -> tuple[int, int]:
    return status.st_atime_ns, status.st_mtime_ns


def _describe(target: int, source: int, status: os.stat_result) -> None:
    os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    set_on(target, dict(copied(source)))


def copy_data(source: int, target: int, status: os.stat_result) -> None:
    """Copy the data of the file that `status` tells of, and leave the holes. Raises OSError."""
    size = status.st_size
    if status.st_blocks * _BLOCK >= size:  # Nothing is left out.
        while size and (sent := os.sendfile(target, source, None, min(size, _COPY))):
            size -= sent
        return
    os.ftruncate(target, size)
    at = 0
    while at < size and (start := _next_data(source, at)) is not None:
        at = os.lseek(source, start, os.SEEK_HOLE)
        os.lseek(source, start, os.SEEK_SET)
        os.lseek(target, start, os.SEEK_SET)
        while start < at and (sent := os.sendfile(target, source, None, min(at - start, _COPY))):
            start += sent


def _next_data(fd: int, at: int) -> int | None:
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # Only a hole is left.
            return None
        raise


def _make_special(found: Found, above: int) -> None:
    status, name = found.status, found.name
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=found.above), name, dir_fd=above)
    else:
        os.mknod(name, status.st_mode, status.st_rdev, dir_fd=above)
    os.chown(name, status.st_uid, status.st_gid, dir_fd=above, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=above)
    os.utime(name, ns=_times(status), dir_fd=above, follow_symlinks=False)
