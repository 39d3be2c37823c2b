"""What a build's file operations make: directories with those above them, owners, times. In the process's own root."""

import contextlib
import os
import posixpath
from pathlib import Path
from typing import Any, Protocol

from engine.drivers.confine.failures import CopyRefused

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MAX_LINKS = 40


class Made:
    """The owner of what is made, and its time in ns since the epoch; None: as it comes."""

    __slots__ = ("gid", "time", "uid")

    def __init__(self, uid: int | None, gid: int | None, time: int | None) -> None:
        self.uid = uid
        self.gid = gid
        self.time = time

    @classmethod
    def of(cls, action: dict[str, Any]) -> "Made":
        """Return what an action says; it leaves out what it does not set."""
        return cls(action.get("uid"), action.get("gid"), action.get("time"))

    def owner(self, status: os.stat_result) -> tuple[int, int]:
        """Return the owner of the copy of something."""
        uid = status.st_uid if self.uid is None else self.uid
        return uid, status.st_gid if self.gid is None else self.gid

    def times(self, status: os.stat_result) -> tuple[int, int]:
        """Return access and modification time of the copy of something."""
        return (status.st_atime_ns, status.st_mtime_ns) if self.time is None else (self.time, self.time)


def own(path: str, made: Made) -> None:
    """Give what is at a path, not what it leads to, its owner and time."""
    os.chown(path, made.uid or 0, made.gid or 0, follow_symlinks=False)
    if made.time is not None:
        os.utime(path, ns=(made.time, made.time), follow_symlinks=False)


def make_directories(path: str, made: Made, mode: int = 0o755, links: int = _MAX_LINKS) -> str:
    """Make a directory and those above it that are missing; return its path with dangling links resolved.

    Raises CopyRefused.
    """
    new: list[str] = []
    done = "/"
    names = [part for part in path.split("/") if part not in ("", ".")]
    for index, name in enumerate(names):
        done = posixpath.join(done, name)
        try:
            Path(done).mkdir(mode)
        except FileExistsError:
            if Path(done).is_symlink() and not Path(done).exists():
                target = posixpath.normpath(Path(done).parent / Path(done).readlink())
                done = make_directories(target, made, mode, _fewer(links))
            _require_directory(done, names[index + 1 :])
            continue
        Path(done).chmod(mode)
        os.chown(done, made.uid or 0, made.gid or 0)
        new.append(done)
    if made.time is not None:
        for directory in reversed(new):
            os.utime(directory, ns=(made.time, made.time))
    return done


def _require_directory(path: str, below: list[str]) -> None:
    """Raise CopyRefused, in the words of BuildKit, which looks at what is below before it makes a directory."""
    if Path(path).is_dir():
        return
    real = os.path.realpath(path)
    raise CopyRefused(f"lstat {real}/{below[0]}: not a directory" if below else f"mkdir {real}: not a directory")


def _fewer(links: int) -> int:
    if not links:
        raise CopyRefused("too many links")
    return links - 1


def end_of_links(path: str) -> str:
    """Return where the links lead that begin at a path, whether there is anything or not. Raises CopyRefused."""
    for _ in range(_MAX_LINKS):
        if not Path(path).is_symlink():
            return path
        path = posixpath.normpath(Path(path).parent / Path(path).readlink())
    raise CopyRefused("too many links")


def closed(fds: list[int]) -> None:
    """Close descriptors, whatever becomes of one."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


class Describer(Protocol):
    """Gives copies of directories what their originals have."""

    def describe(self, target: int, source: int, status: os.stat_result) -> None:
        """Give owner, permissions and attributes."""

    def set_times(self, target: int, status: os.stat_result) -> None:
        """Give times, at the end."""


class Directories:
    """The directories on the way to where a merge of one directory into another is, made as they are needed."""

    def __init__(self, target: str, source: int, describer: Describer) -> None:
        """`source` is a descriptor of the directory that is merged, kept open meanwhile."""
        self._target = target
        self._describer = describer
        self._source = source
        self._open: dict[bytes, tuple[int, os.stat_result | None]] = {b"": (os.open(target, _DIRECTORY), None)}
        self._last = b""

    def enter(self, path: bytes) -> int:
        """Return the copy of a directory, good until the next call; made with those above it. Raises CopyRefused."""
        if path == self._last:
            return self._open[path][0]
        self._last = path
        parts = path.split(b"/") if path else []
        self._leave(path)
        fd = self._open[b""][0]
        for count in range(1, len(parts) + 1):
            here = b"/".join(parts[:count])
            if here not in self._open:
                self._open[here] = self._made(fd, here)
            fd = self._open[here][0]
        return fd

    def _made(self, above: int, path: bytes) -> tuple[int, os.stat_result]:
        name = path.rpartition(b"/")[2]
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=above)
        try:
            fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        except OSError as error:
            shown = posixpath.join(self._target, os.fsdecode(path))
            raise CopyRefused(f"cannot copy to non-directory: {shown}") from error
        source = os.open(path, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._source)
        try:
            status = os.fstat(source)
            self._describer.describe(fd, source, status)
        finally:
            os.close(source)
        return fd, status

    def _leave(self, path: bytes) -> None:
        """Close directories that are not on the way to `path`, the deepest first."""
        for opened in [p for p in reversed(self._open) if p and p != path and not path.startswith(p + b"/")]:
            self._end(opened)

    def _end(self, path: bytes) -> None:
        fd, status = self._open.pop(path)
        if status is not None:
            self._describer.set_times(fd, status)
        os.close(fd)

    def close(self) -> None:
        """Close all."""
        for path in list(reversed(self._open)):
            self._end(path)
