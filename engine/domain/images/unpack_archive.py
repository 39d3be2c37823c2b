"""The files of an image archive into the content store, as they arrive."""

import posixpath
import re
from collections.abc import AsyncIterator

from engine.core.errors import Internal
from engine.domain.images.archive import ArchivedFile
from engine.domain.images.failures import MalformedImage
from engine.domain.images.garbage import Lease
from engine.drivers.storage.content import READ_LIMIT, ContentStore
from engine.drivers.storage.inflate import kind_of
from engine.drivers.storage.ingest import Ingest
from engine.drivers.storage.tar_stream import ArchiveBroken, Member, TarReader

_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_DOCUMENTS = ("index.json", "manifest.json", "oci-layout", "repositories")
_MAX_MEMBERS = 100_000


class ShortRead(Internal):
    """The archive ends within a file."""

    def __init__(self, name: str, wanted: int, found: int) -> None:
        super().__init__(
            f'failed to ingest "{name}": short read: expected {wanted} bytes but got {found}: unexpected EOF'
        )


class ArchiveFiles:
    """What has been read of an archive: documents in memory, everything else by name in the content store."""

    def __init__(self, content: ContentStore, lease: Lease) -> None:
        self._content = content
        self._lease = lease
        self._links: dict[str, str] = {}
        self.documents: dict[str, bytes] = {}
        self.files: dict[str, ArchivedFile] = {}

    async def read(self, reader: TarReader) -> None:
        """Take in the whole archive. Raises ArchiveBroken, ShortRead, MalformedImage, OSError."""
        count = 0
        while (member := await reader.next()) is not None:
            count += 1
            if count > _MAX_MEMBERS:
                raise MalformedImage("invalid archive: too many files")
            name = _clean(member.name)
            if member.kind == "file":
                await self._take(name, member, reader.content())
            elif member.kind == "link":
                self._links[name] = _clean(posixpath.join(posixpath.dirname(name), member.target))
        self._follow_links()

    async def _take(self, name: str, member: Member, chunks: AsyncIterator[bytes]) -> None:
        if name in _DOCUMENTS:
            self.documents[name] = await _read(name, member, chunks)
            return
        blob = _BLOB.fullmatch(name)
        digest = f"sha256:{blob[1]}" if blob else ""
        if digest:
            await self._lease.blob(digest)
        if digest and self._content.has(digest):
            self.files[name] = ArchivedFile(digest, self._content.size(digest))
            return
        async with self._content.ingest_unknown(digest) as ingest:
            start = await _copy(name, member, chunks, ingest)
            # The lease must come before the blob does: nobody may collect it in between.
            found = digest or await ingest.finish()
            await self._lease.blob(found)
            await self._content.commit(ingest)
            self.files[name] = ArchivedFile(found, ingest.offset, kind_of(start))

    def _follow_links(self) -> None:
        """Docker before version 10 wrote equal layers once and links to them."""
        for name, target in self._links.items():
            found = self.files.get(self._links.get(target, target))
            if found is not None and name not in self.files:
                self.files[name] = found


async def _copy(name: str, member: Member, chunks: AsyncIterator[bytes], ingest: Ingest) -> bytes:
    """Write a member; return its first bytes."""
    start = b""
    try:
        async for chunk in chunks:
            start = start or chunk[:16]
            await ingest.write(chunk)
    except ArchiveBroken as error:
        raise ShortRead(name, member.size, ingest.offset) from error
    return start


async def _read(name: str, member: Member, chunks: AsyncIterator[bytes]) -> bytes:
    if member.size > READ_LIMIT:
        raise MalformedImage(f"invalid archive: {name} is too large")
    return b"".join([chunk async for chunk in chunks])


def _clean(name: str) -> str:
    """Return a name without leading `./` or `/`; nothing is ever opened by it."""
    return posixpath.normpath("/" + name).lstrip("/")
