"""Which files of a tree a COPY or ADD means: names and wildcards (Go's `filepath.Match`), resolved inside the tree."""

import os
import re
import stat
from collections.abc import Iterator

from engine.drivers.confine.failures import PathMissing
from engine.drivers.linux.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_META = re.compile(rb"[*?\[\\]")


def pattern_of(pattern: bytes) -> "re.Pattern[bytes]":
    """Return the regular expression of one component of a wildcard."""
    parts, at = [], 0
    while at < len(pattern):
        piece, at = _piece(pattern, at)
        parts.append(piece)
    return re.compile(b"".join(parts), re.DOTALL)


def _piece(pattern: bytes, at: int) -> tuple[bytes, int]:
    character = pattern[at : at + 1]
    if character == b"*":
        return b"[^/]*", at + 1
    if character == b"?":
        return b"[^/]", at + 1
    if character == b"\\":
        return re.escape(pattern[at + 1 : at + 2]), at + 2
    end = pattern.find(b"]", at + 2) if character == b"[" else -1
    if end < 0:
        return re.escape(character), at + 1
    return b"[" + pattern[at + 1 : end].replace(b"\\", b"\\\\") + b"]", end + 1


def resolved(top: int, path: bytes, flags: int = os.O_PATH) -> int:
    """Open a path as if the tree behind `top` were `/`. Raises OSError."""
    return openat2(top, path or b".", flags | os.O_CLOEXEC, resolve=_RESOLVE)


def has_wildcards(path: bytes) -> bool:
    """Tell whether a path is a pattern."""
    return _META.search(path) is not None


def select(top: int, source: str, *, wildcards: bool = True) -> list[bytes]:
    """Return the paths in the tree that `source` means, in order. Raises PathMissing for a name that is not there."""
    wanted = os.fsencode(os.path.normpath("/" + source)).lstrip(b"/")
    if not wildcards or not _META.search(wanted):
        _require(top, wanted, source)
        return [wanted]
    found = [b""]
    for component in wanted.split(b"/"):
        found = [path for above in found for path in _below(top, above, component)]
    return sorted(found)


def _require(top: int, path: bytes, source: str) -> None:
    try:
        os.close(resolved(top, path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PathMissing(source) from error


def _below(top: int, above: bytes, component: bytes) -> Iterator[bytes]:
    prefix = above + b"/" if above else b""
    if not _META.search(component):
        names = [component]
    else:
        pattern = pattern_of(component)
        names = [name for name in _names(top, above) if pattern.fullmatch(name)]
    for name in names:
        if _exists(top, above, name):
            yield prefix + name


def _exists(top: int, above: bytes, name: bytes) -> bool:
    """Tell whether there is such an entry, be it a link that leads nowhere."""
    try:
        directory = resolved(top, above)
    except OSError:
        return False
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    finally:
        os.close(directory)
    return True


def _names(top: int, above: bytes) -> list[bytes]:
    try:
        fd = resolved(top, above, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return []
    try:
        with os.scandir(fd) as entries:
            return [os.fsencode(entry.name) for entry in entries]
    finally:
        os.close(fd)


def is_directory(fd: int) -> bool:
    """Tell whether a descriptor is a directory's."""
    return stat.S_ISDIR(os.fstat(fd).st_mode)
