"""The job `copy_up`: what an image has at a volume's place becomes the first content of the empty volume.

As moby's `container.CopyImagePathContent`: also owner and mode of the directory; nothing where the volume has content
already, or the image no directory there.
"""

import contextlib
import os
import stat

from engine.drivers.confine.walk import Found, walk
from engine.drivers.confine.xattrs import copied, set_on

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY = 1 << 24


def copy_up(path: str, target: int) -> bool:
    """Copy the content of the directory `path`, resolved in the process's root, into the directory `target`.

    Tells whether it did. Raises OSError. Blocks.
    """
    if os.listdir(target):
        return False
    try:
        source = os.open(path, _DIRECTORY)
    except OSError:
        return False
    try:
        _Copier(target).run(source)
    finally:
        os.close(source)
    return True


class _Copier:
    """Copies one tree; `walk` gives each directory before its content, so the last of `_open` is where we are."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._here = b""
        self._open: list[int] = [target]
        self._links: dict[tuple[int, int], bytes] = {}
        self._last: list[tuple[bytes, os.stat_result]] = []

    def run(self, source: int) -> None:
        for found in walk(source):
            above = self._enter(found.path.rpartition(b"/")[0])
            if not self._link(found, above):
                self._copy(found, above)
        self._enter(b"")
        for path, status in reversed(self._last):
            os.utime(path, ns=_times(status), dir_fd=self._target, follow_symlinks=False)
        _describe(self._target, source, os.fstat(source))
        os.utime(self._target, ns=_times(os.fstat(source)))

    def _enter(self, path: bytes) -> int:
        """Return the descriptor of the target's directory `path`, which is here, below here by one, or above."""
        while self._here != path and not path.startswith(self._here + b"/" if self._here else b""):
            self._leave()
        if self._here != path:
            name = path.rpartition(b"/")[2]
            self._open.append(os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._open[-1]))
            self._here = path
        return self._open[-1]

    def _leave(self) -> None:
        os.close(self._open.pop())
        self._here = self._here.rpartition(b"/")[0]

    def _link(self, found: Found, above: int) -> bool:
        """Make a hard link to what is copied already; the name's path is short of links, as we made all of it."""
        if found.status.st_nlink < 2 or found.is_directory:
            return False
        first = self._links.setdefault((found.status.st_dev, found.status.st_ino), found.path)
        if first is found.path:
            return False
        os.link(first, found.name, src_dir_fd=self._target, dst_dir_fd=above, follow_symlinks=False)
        return True

    def _copy(self, found: Found, above: int) -> None:
        status, name = found.status, found.name
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            os.mkdir(name, 0o700, dir_fd=above)
            self._describe_opened(found, os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above))
            self._last.append((found.path, status))
        elif kind == stat.S_IFREG:
            target = os.open(name, _NEW_FILE, 0o600, dir_fd=above)
            self._describe_opened(found, target, content=True)
        elif kind != stat.S_IFSOCK:
            _make_special(found, above)

    def _describe_opened(self, found: Found, target: int, *, content: bool = False) -> None:
        try:
            source = found.open()
            try:
                if content:
                    copy_data(source, target, found.status.st_size)
                _describe(target, source, found.status)
            finally:
                os.close(source)
            os.utime(target, ns=_times(found.status))
        finally:
            os.close(target)


def _times(status: os.stat_result) -> tuple[int, int]:
    return status.st_atime_ns, status.st_mtime_ns


def _describe(target: int, source: int, status: os.stat_result) -> None:
    os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    set_on(target, dict(copied(source)))


def copy_data(source: int, target: int, size: int) -> None:
    """Copy the data and leave the holes; the kernel copies, by reference where the filesystem can."""
    os.ftruncate(target, size)
    at = 0
    with contextlib.suppress(OSError):  # ENXIO: only a hole is left.
        while at < size:
            at = os.lseek(source, at, os.SEEK_DATA)
            end = os.lseek(source, at, os.SEEK_HOLE)
            at = _copy_range(source, target, at, end)


def _copy_range(source: int, target: int, at: int, end: int) -> int:
    os.lseek(source, at, os.SEEK_SET)
    os.lseek(target, at, os.SEEK_SET)
    while at < end and (copied_now := _copy_some(source, target, min(end - at, _COPY))):
        at += copied_now
    return end


def _copy_some(source: int, target: int, length: int) -> int:
    return os.sendfile(target, source, None, length)


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
