"""The job `fingerprint`: the digest of what a COPY or ADD would copy, whatever its times are."""

import hashlib
import os
import stat
from collections.abc import Sequence
from typing import Any

from engine.drivers.confine.select import is_directory, resolved, select
from engine.drivers.confine.walk import walk

_CHUNK = 1 << 20


def fingerprint(root: int, sources: Sequence[str]) -> dict[str, Any]:
    """Return the digest and the kind (`file`, `dir`, `multi`) of the sources, resolved in the tree `root`. Blocks.

    An empty kind: the wildcards mean nothing. Raises SourceMissing.
    """
    total, kinds = hashlib.sha256(), []
    for source in sources:
        for path in select(root, source):
            fd = resolved(root, path)
            try:
                kinds.append("dir" if is_directory(fd) else "file")
                total.update(_of_directory(fd) if kinds[-1] == "dir" else _of_file(root, path, fd))
            finally:
                os.close(fd)
    kind = kinds[0] if len(kinds) == 1 else "multi"
    return {"digest": total.hexdigest(), "kind": kind if kinds else ""}


def _of_file(root: int, path: bytes, fd: int) -> bytes:
    whole = hashlib.sha256(_line(path.rpartition(b"/")[2], os.fstat(fd)))
    if stat.S_ISREG(os.fstat(fd).st_mode):
        _add_content(whole, resolved(root, path, os.O_RDONLY | os.O_NONBLOCK))
    return whole.digest()


def _of_directory(fd: int) -> bytes:
    whole = hashlib.sha256(_line(b"", os.fstat(fd)))
    for found in walk(fd):
        whole.update(_line(found.path, found.status))
        if stat.S_ISREG(found.status.st_mode):
            _add_content(whole, found.open())
        elif stat.S_ISLNK(found.status.st_mode):
            whole.update(os.readlink(found.name, dir_fd=found.above))
    return whole.digest()


def _line(name: bytes, status: os.stat_result) -> bytes:
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return b"%s\0%o %d %d %d %d\n" % (name, status.st_mode, status.st_uid, status.st_gid, size, status.st_rdev)


def _add_content(whole: Any, fd: int) -> None:
    try:
        while data := os.read(fd, _CHUNK):
            whole.update(data)
    finally:
        os.close(fd)
