"""What an OCI runtime makes in a tree only to mount something on it, and must not stay: empty files and directories.

Looked for before the run, in the tree as it is seen; removed after it, in the directory that took the changes, together
with copies of the directories around that were made only for this. Everything here blocks; call in a thread.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.drivers.confine.xattrs import is_opaque
from engine.drivers.linux import syscalls

_IN_ROOT = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_BENEATH = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PATH = os.O_PATH | os.O_CLOEXEC

_MAX_LINKS = 40

Looks = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Stub:
    """A place of which only the directory `above` (relative to the tree) was there, and the `names` that were not.

    `looks` are mode and owner of `above` and the directories above it, the nearest first.
    """

    above: str
    names: Sequence[str]
    looks: Sequence[Looks]


def find_missing(tree: Path, places: Iterable[str]) -> list[Stub]:
    """Return what is not there of some places in a tree. Raises OSError."""
    top = os.open(tree, _PATH | os.O_DIRECTORY)
    try:
        found = [_missing(top, tree, place) for place in places]
    finally:
        os.close(top)
    return [stub for stub in found if stub is not None]


def real_places(tree: Path, places: Sequence[str]) -> list[str]:
    """Return where places are when all links on the way are followed, those that lead nowhere too. Raises OSError."""
    top = os.open(tree, _PATH | os.O_DIRECTORY)
    try:
        return [_real(top, place) for place in places]
    finally:
        os.close(top)


def _real(top: int, place: str) -> str:
    pending, done, links = place.split("/"), list[str](), _MAX_LINKS
    while pending:
        name = pending.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            done = done[:-1]
            continue
        target = _target(top, "/".join([*done, name]))
        if target is None or not links:
            done.append(name)
            continue
        links -= 1
        done = [] if target.startswith("/") else done
        pending = [*target.split("/"), *pending]
    return "/" + "/".join(done)


def _target(top: int, path: str) -> str | None:
    """Return where the link at a path leads, None where there is no link."""
    try:
        fd = syscalls.openat2(top, path, _PATH | os.O_NOFOLLOW, resolve=_IN_ROOT)
    except OSError:
        return None
    try:
        return os.fsdecode(os.readlink(b"", dir_fd=fd)) if stat.S_ISLNK(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)


def _missing(top: int, tree: Path, place: str) -> Stub | None:
    parts = [part for part in place.split("/") if part not in ("", ".", "..")]
    for count in range(len(parts), -1, -1):
        try:
            fd = syscalls.openat2(top, "/".join(parts[:count]) or ".", _PATH, resolve=_IN_ROOT)
        except OSError:
            continue
        try:
            if count == len(parts) or not stat.S_ISDIR(os.fstat(fd).st_mode):
                return None
            real = os.fsdecode(Path(f"/proc/self/fd/{fd}").readlink())
        finally:
            os.close(fd)
        above = os.path.relpath(real, Path(f"/proc/self/fd/{top}").readlink())
        return Stub("" if above == "." else above, parts[count:], _looks(top, "" if above == "." else above))
    return None


def _looks(top: int, path: str) -> list[Looks]:
    found = []
    while path:
        status = os.stat(path, dir_fd=top, follow_symlinks=False)
        found.append((status.st_mode, status.st_uid, status.st_gid))
        path = path.rpartition("/")[0]
    return found


def remove_stubs(changes: Path, stubs: Iterable[Stub]) -> None:
    """Remove what was made at places that were missing, where nobody has put anything there. Raises OSError."""
    top = os.open(changes, _DIRECTORY)
    try:
        for stub in stubs:
            with contextlib.suppress(OSError):  # Links are in the way, or it is not there: not made by the runtime.
                _remove(top, stub)
    finally:
        os.close(top)


def _remove(top: int, stub: Stub) -> None:
    for count in range(len(stub.names), 0, -1):
        above = "/".join([*([stub.above] if stub.above else ()), *stub.names[: count - 1]])
        if not _remove_empty(top, above, stub.names[count - 1]):
            return
    path = stub.above
    for looks in stub.looks:
        parent, _, name = path.rpartition("/")
        if not _remove_copy(top, parent, name, looks):
            return
        path = parent


def _remove_empty(top: int, above: str, name: str) -> bool:
    fd = syscalls.openat2(top, above or ".", _DIRECTORY, resolve=_BENEATH)
    try:
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(name, dir_fd=fd)
        elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
            os.unlink(name, dir_fd=fd)
        else:
            return False
        return True
    finally:
        os.close(fd)


def _remove_copy(top: int, above: str, name: str, looks: Looks) -> bool:
    """Remove a directory's copy that holds no change."""
    fd = syscalls.openat2(top, f"{above}/{name}" if above else name, _DIRECTORY, resolve=_BENEATH)
    try:
        status = os.fstat(fd)
        if (status.st_mode, status.st_uid, status.st_gid) != looks or is_opaque(fd):
            return False
    finally:
        os.close(fd)
    return _remove_empty(top, above, name)
