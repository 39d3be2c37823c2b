"""The jobs `fingerprint`, the digest of what copies would copy, whatever its times are, and `digests`, of each file."""

import hashlib
import os
import stat
from collections.abc import Sequence
from typing import Any

from engine.drivers.confine.select import is_directory, resolved
from engine.drivers.confine.selection import Selection, chosen
from engine.drivers.confine.walk import walk
from engine.drivers.confine.xattrs import copied

_CHUNK = 1 << 20
_CAPABILITY = b"security.capability"


def fingerprint(root: int, selections: Sequence[dict[str, Any]]) -> str:
    """Return the digest (hex digits) of what is selected in the tree `root`. Raises PathMissing. Blocks.

    As BuildKit's `contenthash`: names, types, modes, owners, sizes, link targets and content count; times do not.
    """
    total = hashlib.sha256()
    for wanted in selections:
        selection = Selection(wanted)
        for path in selection.paths(root):
            fd = selection.open(root, path)
            try:
                if is_directory(fd):
                    total.update(_of_directory(fd, selection))
                else:
                    total.update(_of_file(root, path, fd))
            finally:
                os.close(fd)
        total.update(b"\0end")
    return total.hexdigest()


def digests(root: int) -> list[tuple[str, str]]:
    """Return the path and the SHA-256 (hex digits) of the content of each file below the directory `root`. Blocks."""
    found = []
    for each in walk(root):
        if stat.S_ISREG(each.status.st_mode):
            with os.fdopen(each.open(), "rb") as file:
                found.append((os.fsdecode(each.path), hashlib.file_digest(file, "sha256").hexdigest()))
    return found


def _of_file(root: int, path: bytes, fd: int) -> bytes:
    status = os.fstat(fd)
    whole = hashlib.sha256(_line(path.rpartition(b"/")[2], status))
    if stat.S_ISREG(status.st_mode):
        _add_content(whole, resolved(root, path, os.O_RDONLY | os.O_NONBLOCK))
    elif stat.S_ISLNK(status.st_mode):
        whole.update(os.readlink(b"", dir_fd=fd))
    return whole.digest()


def _of_directory(fd: int, selection: Selection) -> bytes:
    whole = hashlib.sha256(b"" if selection.filtered() else _line(b"", os.fstat(fd)))
    directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        for found in chosen(directory, selection):
            whole.update(_line(found.path, found.status))
            if stat.S_ISREG(found.status.st_mode):
                _add_content(whole, found.open())
            elif stat.S_ISLNK(found.status.st_mode):
                whole.update(os.readlink(found.name, dir_fd=found.above))
    finally:
        os.close(directory)
    return whole.digest()


def _line(name: bytes, status: os.stat_result) -> bytes:
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return b"%s\0%o %d %d %d %d\n" % (name, status.st_mode, status.st_uid, status.st_gid, size, status.st_rdev)


def _add_content(whole: Any, fd: int) -> None:
    try:
        for name, value in copied(fd):
            if name == _CAPABILITY:
                whole.update(value)
        while data := os.read(fd, _CHUNK):
            whole.update(data)
    finally:
        os.close(fd)
