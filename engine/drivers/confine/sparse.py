"""Where the data of a sparse file lies: GNU tar's old format and its PAX formats 0.0, 0.1 and 1.0 (GNU tar manual,
"Storing Sparse Files"). Pure but for the `read` it is given.
"""

from collections.abc import Callable

from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.confine.tar_header import BLOCK, Entry, decimal, number

_MAX_FRAGMENTS = 1 << 20
_PREFIX = b"GNU.sparse."
Read = Callable[[int], bytes]


def old_gnu(entry: Entry, block: bytes, read: Read) -> None:
    """Set the map of an entry of type `S`: four fragments in its header block, more in the blocks that follow."""
    fragments = _fields(block[386:482])
    more = block[482]
    while more:
        extension = read(BLOCK)
        fragments += _fields(extension[:504])
        more = extension[504]
        _require(len(fragments) <= _MAX_FRAGMENTS)
    _settle(entry, fragments, number(block[483:495]))


def _fields(data: bytes) -> list[tuple[int, int]]:
    found = []
    for at in range(0, len(data), 24):
        if data[at]:
            found.append((number(data[at : at + 12]), number(data[at + 12 : at + 24])))
    return found


def pax(entry: Entry, records: list[tuple[bytes, bytes]], read: Read) -> None:
    """Set the map of an entry whose PAX records describe a sparse file; nothing happens for any other."""
    fields = {key[len(_PREFIX) :]: value for key, value in records if key.startswith(_PREFIX)}
    if not fields:
        return
    if name := fields.get(b"name"):
        entry.name = name
    real_size = fields.get(b"realsize") or fields.get(b"size")
    if real_size is None:
        return
    if fields.get(b"major") == b"1":
        fragments = _map_in_data(entry, read)
    elif b"map" in fields:
        fragments = _pairs([decimal(value) for value in fields[b"map"].split(b",") if value])
    else:
        fragments = _pairs([decimal(v) for k, v in records if k in (b"GNU.sparse.offset", b"GNU.sparse.numbytes")])
    _settle(entry, fragments, decimal(real_size))


def _pairs(numbers: list[int]) -> list[tuple[int, int]]:
    _require(len(numbers) % 2 == 0)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _map_in_data(entry: Entry, read: Read) -> list[tuple[int, int]]:
    """Format 1.0: the map stands before the data, as lines, padded to whole blocks."""
    text, lines = b"", -1
    while lines < 0 or text.count(b"\n") < lines:
        _require(entry.size >= BLOCK and len(text) < 32 * _MAX_FRAGMENTS)
        text += read(BLOCK)
        entry.size -= BLOCK
        if lines < 0 and b"\n" in text:
            lines = 1 + 2 * decimal(text.partition(b"\n")[0])
            _require(lines <= 2 * _MAX_FRAGMENTS)
    return _pairs([decimal(line) for line in text.split(b"\n", lines)[1:lines]])


def _settle(entry: Entry, fragments: list[tuple[int, int]], real_size: int) -> None:
    end = 0
    for offset, length in fragments:
        _require(offset >= end and length >= 0)
        end = offset + length
    _require(end <= real_size and sum(length for _, length in fragments) == entry.size)
    entry.sparse = fragments
    entry.real_size = real_size


def _require(condition: bool) -> None:
    if not condition:
        raise ArchiveRefused("invalid tar header: damaged map of a sparse file")
