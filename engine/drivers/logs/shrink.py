"""Makes log files that nobody writes any more smaller: compressed, or without their beginning.

Everything here blocks; use it in a thread. Who reads a file goes on reading what it has open.
"""

import os
import shutil
import zlib
from pathlib import Path
from typing import BinaryIO

from isal import igzip

PACKED = ".gz"
_LEVEL = 1
_GZIP = 31
_BLOCK = 1 << 20


def pack(path: Path) -> None:
    """Put `PATH.gz` in the place of a file; while both are there, the plain one counts. Raises OSError."""
    fresh = path.with_name(f"{path.name}{PACKED}.new")
    try:
        with path.open("rb") as source, igzip.open(fresh, "wb", compresslevel=_LEVEL) as target:
            shutil.copyfileobj(source, target, _BLOCK)
        fresh.replace(path.with_name(path.name + PACKED))
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    path.unlink()


def unpacked(fd: int, directory: Path) -> int:
    """Return a file without a name that has what the packed one has; the packed one is closed. Raises OSError."""
    plain = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with igzip.open(os.fdopen(fd, "rb"), "rb") as source, os.fdopen(os.dup(plain), "wb") as target:
            shutil.copyfileobj(source, target, _BLOCK)
    except BaseException:
        os.close(plain)
        raise
    return plain


def beginning(fd: int, size: int) -> bytes:
    """Return the first bytes of what is packed."""
    try:
        return zlib.decompressobj(_GZIP).decompress(os.pread(fd, 4096, 0), size)
    except zlib.error:
        return b""


def keep_end(path: Path, size: int) -> None:
    """Cut a file's beginning off so that `size` bytes are left at most, in whole lines. Raises OSError."""
    with path.open("rb") as source:
        surplus = os.fstat(source.fileno()).st_size - size
        if surplus <= 0:
            return
        source.seek(surplus - 1)
        source.readline()
        _replace_with_rest(path, source)


def _replace_with_rest(path: Path, source: BinaryIO) -> None:
    fresh = path.with_name(f"{path.name}.new")
    try:
        with fresh.open("wb") as target:
            os.fchmod(target.fileno(), os.fstat(source.fileno()).st_mode & 0o777)
            shutil.copyfileobj(source, target, _BLOCK)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
