"""Tar headers as bytes: ustar and GNU header blocks, PAX records (pax(1), tar(5)). Pure.

An own reader, since `tarfile` was not made for hostile archives (CVE-2025-4517, CVE-2025-8194), loses names that are
not UTF-8, and takes ten times as long.
"""

import base64
import binascii
import struct
import zlib
from urllib.parse import unquote_to_bytes

from engine.drivers.confine.failures import ArchiveRefused

BLOCK = 512
REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
GNU_SPARSE, GNU_LONG_NAME, GNU_LONG_LINK, PAX, PAX_GLOBAL = b"S", b"L", b"K", b"x", b"g"
HEADER_ONLY = frozenset({HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO})

_LAYOUT = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_OLD_REGULAR, _CONTIGUOUS = b"\0", b"7"
_BLANK = b" " * 8
_ADLER = 65521
_NANOSECONDS = 1_000_000_000
_TIME_LIMIT = 1 << 33  # Seconds; later ones are as good as none, and filesystems cannot hold them.
_XATTR, _LIBARCHIVE_XATTR = b"SCHILY.xattr.", b"LIBARCHIVE.xattr."


class Entry:
    """One member of an archive. `size` is what the archive holds of it, `real_size` what the file will have.

    `mtime` is in nanoseconds; `sparse` are the (offset, length) of what the archive holds, None for a whole file.
    """

    __slots__ = (
        "gid", "kind", "link", "major", "minor", "mode", "mtime", "name", "real_size", "size", "sparse", "uid", "xattrs"
    )  # fmt: skip

    def __init__(self) -> None:
        self.kind = REGULAR
        self.name = b""
        self.link = b""
        self.mode = 0
        self.uid = 0
        self.gid = 0
        self.size = 0
        self.real_size = 0
        self.mtime = 0
        self.major = 0
        self.minor = 0
        self.xattrs: dict[bytes, bytes] | None = None
        self.sparse: list[tuple[int, int]] | None = None


def number(field: bytes) -> int:
    """Read a numeric field: octal digits, or base 256 where the first bit is set. Raises ArchiveRefused."""
    if field[0] & 0x80:
        return _binary(field)
    try:
        value = int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise ArchiveRefused("invalid tar header: not a number") from None
    if value < 0:
        raise ArchiveRefused("invalid tar header: negative number")
    return value


def _binary(field: bytes) -> int:
    bits = 8 * len(field) - 1
    value = int.from_bytes(field, "big") & ((1 << bits) - 1)
    return value - (1 << bits) if field[0] & 0x40 else value


def parse(block: bytes) -> Entry:
    """Read a header block. Raises ArchiveRefused where its checksum or a number is wrong."""
    name, mode, uid, gid, size, mtime, checksum, kind, link, magic, _, _, major, minor, prefix = _LAYOUT.unpack(block)
    if not _checksum_matches(block, number(checksum)):
        raise ArchiveRefused("invalid tar header: wrong checksum")
    entry = Entry()
    entry.name = name.partition(b"\0")[0]
    entry.kind = REGULAR if kind in (_OLD_REGULAR, _CONTIGUOUS) else kind
    if link[0]:
        entry.link = link.partition(b"\0")[0]
    entry.mode = number(mode) & 0o7777
    entry.uid, entry.gid = number(uid), number(gid)
    entry.size = entry.real_size = number(size)
    if entry.size < 0:
        raise ArchiveRefused("invalid tar header: negative size")
    entry.mtime = bounded_time(number(mtime) * _NANOSECONDS)
    if magic[:6] == b"ustar\0" and prefix[0]:
        entry.name = prefix.partition(b"\0")[0] + b"/" + entry.name
    if kind in (CHARACTER, BLOCK_DEVICE):
        entry.major, entry.minor = number(major), number(minor)
    return entry


def _checksum_matches(block: bytes, expected: int) -> bool:
    """Compare the sum of all bytes, the checksum's own place counting as blanks.

    The low half of Adler-32 is that sum plus 1, modulo 65521: twelve times as fast as adding up in Python.
    """
    blanked = block[:148] + _BLANK + block[156:]
    if zlib.adler32(blanked) & 0xFFFF == (expected + 1) % _ADLER:
        return True
    return sum(byte - 256 if byte > 127 else byte for byte in blanked) == expected  # As some old tars did.


def bounded_time(nanoseconds: int) -> int:
    """Return a time that a filesystem can hold; the epoch for any other (as containerd's `boundTime`)."""
    return nanoseconds if abs(nanoseconds) < _TIME_LIMIT * _NANOSECONDS else 0


def pax_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """Split a PAX header into its records, in order. Raises ArchiveRefused."""
    records, at = [], 0
    while at < len(data):
        digits, blank, _ = data[at : at + 12].partition(b" ")
        length = int(digits) if blank and digits.isdigit() else 0
        record = data[at + len(digits) + 1 : at + length]
        key, equals, value = record.partition(b"=")
        if length < 5 or at + length > len(data) or not equals or not key or not record.endswith(b"\n"):
            raise ArchiveRefused("invalid tar header: damaged PAX record")
        records.append((key, value[:-1]))
        at += length
    return records


def apply_pax(entry: Entry, records: list[tuple[bytes, bytes]]) -> None:
    """Let the records override what the header block says; the last of a name counts. Raises ArchiveRefused."""
    for key, value in records:
        if key.startswith((_XATTR, _LIBARCHIVE_XATTR)):
            _add_xattr(entry, key, value)
        elif (apply := _PAX.get(key)) is not None and value:
            apply(entry, value)


def _add_xattr(entry: Entry, key: bytes, value: bytes) -> None:
    if entry.xattrs is None:
        entry.xattrs = {}
    if key.startswith(_XATTR):
        entry.xattrs[key[len(_XATTR) :]] = value
        return
    try:
        name = unquote_to_bytes(key[len(_LIBARCHIVE_XATTR) :])
        entry.xattrs.setdefault(name, base64.b64decode(value + b"=" * (-len(value) % 4)))
    except binascii.Error:
        raise ArchiveRefused("invalid tar header: damaged PAX record") from None


def decimal(value: bytes) -> int:
    """Read a whole number that is not negative. Raises ArchiveRefused."""
    if not value.isdigit() or len(value) > 20:
        raise ArchiveRefused("invalid tar header: not a number in a PAX record")
    return int(value)


def _time(value: bytes) -> int:
    """Read seconds with a decimal fraction, exactly (a float would lose nanoseconds)."""
    whole, _, fraction = value.partition(b".")
    digits = whole.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 20 or (fraction and not fraction.isdigit()):
        raise ArchiveRefused("invalid tar header: not a time in a PAX record")
    nanoseconds = int(digits) * _NANOSECONDS + int(fraction[:9].ljust(9, b"0"))
    return bounded_time(-nanoseconds if whole.startswith(b"-") else nanoseconds)


def _path(entry: Entry, value: bytes) -> None:
    entry.name = value


def _link_path(entry: Entry, value: bytes) -> None:
    entry.link = value


def _size(entry: Entry, value: bytes) -> None:
    entry.size = entry.real_size = decimal(value)


def _uid(entry: Entry, value: bytes) -> None:
    entry.uid = decimal(value)


def _gid(entry: Entry, value: bytes) -> None:
    entry.gid = decimal(value)


def _mtime(entry: Entry, value: bytes) -> None:
    entry.mtime = _time(value)


_PAX = {
    b"path": _path,
    b"linkpath": _link_path,
    b"size": _size,
    b"uid": _uid,
    b"gid": _gid,
    b"mtime": _mtime,
}
