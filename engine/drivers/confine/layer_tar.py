"""The job `pack`: a tree with overlayfs's marks becomes a layer's tar archive, the same bytes for the same tree.

As containerd's `archive.WriteDiff`: names in order, whole seconds, a character device 0/0 as `.wh.x`, an opaque
directory with `.wh..wh..opq` in it, hard links to the first name of their file.
"""

import os
import stat
import struct
from collections.abc import Iterable

from engine.drivers.confine.tar_header import (
    BLOCK,
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    PAX,
    REGULAR,
    SYMLINK,
)
from engine.drivers.confine.tree import is_whiteout
from engine.drivers.confine.walk import Found, walk
from engine.drivers.confine.xattrs import copied, is_opaque

_LAYOUT = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_MAGIC = b"ustar\x0000"
_CHUNK = 1 << 24
_PAGE = 4096
_OCTAL_LIMIT = 8**7
_SIZE_LIMIT = 8**11
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_KINDS = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}


class _Member:
    """What a header says."""

    __slots__ = ("device", "kind", "link", "mtime", "name", "size", "status", "xattrs")

    def __init__(self, name: bytes, kind: bytes, status: os.stat_result) -> None:
        self.name = name
        self.kind = kind
        self.status = status
        self.mtime = max(int(status.st_mtime_ns // 1_000_000_000), 0)
        self.link = b""
        self.size = 0
        self.device = 0
        self.xattrs: list[tuple[bytes, bytes]] = []


def pack(root: int, output: int, latest: int | None = None) -> dict[str, int]:
    """Write the archive of the tree to `output`; return the bytes that the tree takes on the disk. Blocks.

    Nothing in it is younger than `latest`, in seconds since the epoch.
    """
    packer = Packer(output, latest)
    for found in walk(root):
        packer.add(found)
    packer.finish()
    return {"size": packer.usage}


class Packer:
    """Writes one archive."""

    def __init__(self, output: int, latest: int | None = None) -> None:
        self._output = output
        self._latest = latest
        self._links: dict[tuple[int, int], bytes] = {}
        self.usage = _PAGE

    def add(self, found: Found) -> None:
        """Write one entry."""
        status = found.status
        self.usage += status.st_blocks * BLOCK
        if is_whiteout(status):
            self._mark(found, b".wh." + found.name)
            return
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return  # A socket: no archive holds one.
        member = _Member(found.path + (b"/" if kind == DIRECTORY else b""), kind, status)
        if self._linked(found, member):
            self._header(member)
        elif kind == REGULAR:
            self._file(found, member)
        elif kind == DIRECTORY:
            self._directory(found, member)
        else:
            self._special(found, member)

    def finish(self) -> None:
        """Write the end of the archive."""
        _write(self._output, bytes(2 * BLOCK))

    def _mark(self, found: Found, name: bytes, below: bytes = b"") -> None:
        above = below or found.path.rpartition(b"/")[0]
        self._header(_Member(above + b"/" + name if above else name, REGULAR, found.status))

    def _linked(self, found: Found, member: _Member) -> bool:
        if found.status.st_nlink < 2 or member.kind == DIRECTORY:
            return False
        first = self._links.setdefault((found.status.st_dev, found.status.st_ino), found.path)
        if first is found.path:
            return False
        member.kind, member.link = HARD_LINK, first
        return True

    def _file(self, found: Found, member: _Member) -> None:
        fd = found.open()
        try:
            member.size = os.fstat(fd).st_size
            member.xattrs = sorted(copied(fd))
            self._header(member)
            self._content(fd, member.size)
        finally:
            os.close(fd)

    def _content(self, fd: int, size: int) -> None:
        left = size
        # The kernel copies; into a pipe it only moves pages.
        while left and (sent := os.sendfile(self._output, fd, None, min(left, _CHUNK))):
            left -= sent
        if left or size % BLOCK:
            _write(self._output, bytes(left + -size % BLOCK))

    def _directory(self, found: Found, member: _Member) -> None:
        fd = found.open(_DIRECTORY)
        try:
            member.xattrs = sorted(copied(fd))
            opaque = is_opaque(fd)
        finally:
            os.close(fd)
        self._header(member)
        if opaque:
            self._mark(found, b".wh..wh..opq", found.path)

    def _special(self, found: Found, member: _Member) -> None:
        if member.kind == SYMLINK:
            member.link = os.readlink(found.name, dir_fd=found.above)
        elif member.kind != FIFO:
            member.device = found.status.st_rdev
        self._header(member)

    def _header(self, member: _Member) -> None:
        if self._latest is not None:
            member.mtime = min(member.mtime, self._latest)
        records = list(_records(member))
        if records:
            data = b"".join(_record(key, value) for key, value in records)
            extension = _Member(b"PaxHeaders.0/x", PAX, member.status)
            extension.mtime = member.mtime
            extension.size = len(data)
            _write(self._output, _block(extension) + data + bytes(-len(data) % BLOCK))
        _write(self._output, _block(member))


def _records(member: _Member) -> Iterable[tuple[bytes, bytes]]:
    """Yield what does not fit into the header block."""
    status = member.status
    if status.st_gid >= _OCTAL_LIMIT:
        yield b"gid", b"%d" % status.st_gid
    if len(member.link) > 100:
        yield b"linkpath", member.link
    if len(member.name) > 100:
        yield b"path", member.name
    if member.size >= _SIZE_LIMIT:
        yield b"size", b"%d" % member.size
    if status.st_uid >= _OCTAL_LIMIT:
        yield b"uid", b"%d" % status.st_uid
    for name, value in member.xattrs:
        yield b"SCHILY.xattr." + name, value


def _record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + len(str(len(body)))
    while length != len(str(length)) + len(body):
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def _octal(value: int, width: int) -> bytes:
    limit = 8 ** (width - 1)
    return b"%0*o\0" % (width - 1, value if 0 <= value < limit else 0)


def _block(member: _Member) -> bytes:
    status, mark = member.status, is_whiteout(member.status)
    mode = 0 if mark else stat.S_IMODE(status.st_mode)
    fields = [
        member.name[:100],
        _octal(mode, 8),
        _octal(0 if mark else status.st_uid, 8),
        _octal(0 if mark else status.st_gid, 8),
        _octal(member.size, 12),
        _octal(member.mtime, 12),
        b" " * 8,
        member.kind,
        member.link[:100],
        _MAGIC,
        b"",
        b"",
        _octal(os.major(member.device), 8),
        _octal(os.minor(member.device), 8),
        b"",
    ]
    fields[6] = b"%06o\0 " % sum(_LAYOUT.pack(*fields))
    return _LAYOUT.pack(*fields)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
