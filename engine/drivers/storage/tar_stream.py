"""Tar archives read and written as streams, on the event loop: image archives, of which only names and bytes matter.

The reader knows ustar, GNU long names and pax records; it unpacks nothing and follows no link. Trees are unpacked by
drivers/confine.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.errors import Internal

BLOCK = 512
_META_LIMIT = 1 << 20
_MAX_PIECE = 1 << 20
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_REGULAR = (b"0", b"\0", b"7")
_END_BLOCKS = bytes(2 * BLOCK)


class ArchiveBroken(Internal):
    """The archive ends too early, or is none; the texts are those of Go's archive/tar."""

    def __init__(self, text: str = "unexpected EOF") -> None:
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Member:
    """An entry. `kind` is file, directory, link or other; `size` in bytes; `target` is where a link points."""

    name: str
    size: int
    kind: str
    target: str = ""


class Bytes:
    """A stream of chunks, read by count."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    async def _more(self) -> bool:
        while not self._rest:
            try:
                self._rest = await anext(self._chunks)
            except StopAsyncIteration:
                return False
        return True

    async def piece(self, limit: int) -> bytes:
        """Return what is there, at most `limit` bytes; nothing at the end."""
        if not await self._more():
            return b""
        taken = self._rest[:limit]
        self._rest = self._rest[limit:] if len(taken) < len(self._rest) else b""
        return taken

    async def exactly(self, count: int) -> bytes:
        """Return `count` bytes, fewer at the end only."""
        parts, missing = [], count
        while missing and (part := await self.piece(missing)):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    async def drain(self) -> None:
        """Read to the end, since some clients want all that they send to be taken."""
        while await self.piece(_MAX_PIECE):
            pass


class TarReader:
    """Gives one member after another; `content` is that of the last one given."""

    def __init__(self, source: Bytes) -> None:
        self._source = source
        self._left = 0
        self._padding = 0

    async def next(self) -> Member | None:
        """Return the next member, None at the end. Raises ArchiveBroken."""
        overrides: dict[str, str] = {}
        while True:
            await self._skip()
            header = await self._source.exactly(BLOCK)
            if not header or header == bytes(BLOCK):
                return None
            if len(header) < BLOCK:
                raise ArchiveBroken
            _check(header)
            kind, size = header[156:157], _number(header[124:136])
            if kind not in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
                return self._member(header, overrides)
            overrides |= await self._meta(kind, size)

    async def _meta(self, kind: bytes, size: int) -> dict[str, str]:
        """Return what a record before a member says of it."""
        if size > _META_LIMIT:
            raise ArchiveBroken("archive/tar: header field too long")
        data = await self._source.exactly(size)
        self._padding = -size % BLOCK
        if len(data) < size:
            raise ArchiveBroken
        if kind == _PAX_GLOBAL:
            return {}
        if kind == _PAX:
            return _pax(data)
        text = data.split(b"\0")[0].decode("utf-8", "surrogateescape")
        return {"path" if kind == _LONG_NAME else "linkpath": text}

    def _member(self, header: bytes, overrides: dict[str, str]) -> Member:
        flag = header[156:157]
        kind = "file" if flag in _REGULAR else {b"5": "directory", b"1": "link", b"2": "link"}.get(flag, "other")
        size = _decimal(overrides["size"]) if "size" in overrides else _number(header[124:136])
        self._left = size if kind in ("file", "other") else 0
        self._padding = -self._left % BLOCK
        target = overrides.get("linkpath") or _text(header[157:257])
        return Member(overrides.get("path") or _name(header), self._left, kind, target)

    async def content(self) -> AsyncIterator[bytes]:
        """Give the bytes of the member. Raises ArchiveBroken where the archive ends within."""
        while self._left:
            piece = await self._source.piece(min(self._left, _MAX_PIECE))
            if not piece:
                raise ArchiveBroken
            self._left -= len(piece)
            yield piece

    async def _skip(self) -> None:
        async for _ in self.content():
            pass
        # An archive may end within what fills the last block (Go's archive/tar).
        padding, self._padding = self._padding, 0
        await self._source.exactly(padding)


def _check(header: bytes) -> None:
    total = sum(header[:148]) + 8 * 32 + sum(header[156:])
    if total != _number(header[148:156]):
        raise ArchiveBroken("archive/tar: invalid tar header")


def _number(field: bytes) -> int:
    """Return a number field: octal, or base 256 behind a set high bit."""
    if field[0] & 0x80:
        number = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] & 0x40 or number >= 1 << 62:
            raise ArchiveBroken("archive/tar: invalid tar header")
        return number
    digits = field.split(b"\0")[0].strip()
    try:
        number = int(digits, 8) if digits else 0
    except ValueError as error:
        raise ArchiveBroken("archive/tar: invalid tar header") from error
    if number < 0:
        raise ArchiveBroken("archive/tar: invalid tar header")
    return number


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ArchiveBroken("archive/tar: invalid tar header")
    return int(text)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "surrogateescape")


def _name(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500])
    is_ustar = header[257:263] == b"ustar\0"
    return f"{prefix}/{name}" if is_ustar and prefix else name


def _pax(data: bytes) -> dict[str, str]:
    """Return pax records: `<length> <key>=<value>\\n` each."""
    found: dict[str, str] = {}
    while data:
        length, space, _ = data.partition(b" ")
        if not space or not length.isdigit() or not 0 < int(length) <= len(data):
            raise ArchiveBroken("archive/tar: invalid tar header")
        record, data = data[len(length) + 1 : int(length)], data[int(length) :]
        key, _, value = record.rstrip(b"\n").partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
    return found


def header(name: str, size: int, mode: int, *, directory: bool = False) -> bytes:
    """Return the header block of a member without owner and time, for a short name."""
    fields = [
        name.encode().ljust(100, b"\0"),
        f"{mode:07o}\0".encode(),
        b"0000000\0" * 2,
        f"{size:011o}\0".encode() if size < 8**11 else b"\x80" + size.to_bytes(11, "big"),
        b"00000000000\0",
        b" " * 8,
        b"5" if directory else b"0",
        bytes(100),
        b"ustar\x0000",
        bytes(64),
        b"0000000\0" * 2,
        bytes(167),
    ]
    block = b"".join(fields)
    checksum = f"{sum(block):06o}\0 ".encode()
    return block[:148] + checksum + block[156:]


def padding(size: int) -> bytes:
    """Return what fills a member's last block."""
    return bytes(-size % BLOCK)


def end() -> bytes:
    """Return what ends an archive."""
    return _END_BLOCKS
