"""A file from a web server (`ADD https://…`), or one that the client uploads: a tree with that one file."""

import asyncio
import email.utils
import hashlib
import os
import posixpath
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from engine.domain.builder.failures import ChecksumWrong, DownloadFailed
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import SourceOp
from engine.domain.builder.snapshot import Snapshot
from engine.domain.builder.solver.executors import Work
from engine.domain.builder.sources.trees import SourceTrees, record_of
from engine.drivers.registry.fetch import Download, NotServed, download_with
from engine.drivers.registry.transport import Transport

_SESSION_HOST = "buildkit-session"
_SECOND = 10**9
_DEFAULT_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file: an open descriptor of its content, its digest, its name, its time in seconds (0: not said)."""

    fd: int
    digest: str
    filename: str
    modified: int = 0


class HttpSource:
    """Fetches files."""

    transient = False

    def __init__(self, transport: Transport, trees: SourceTrees, scratch: Path) -> None:
        """`scratch` is a directory for what is on its way."""
        self._transport = transport
        self._trees = trees
        self._scratch = scratch

    async def identify(self, work: Work) -> str:
        """Fetch the file; what it holds says which tree it is. Raises DownloadFailed, OSError."""
        operation = work.vertex.operation
        assert isinstance(operation, SourceOp)
        fetched = await self._fetched(operation, work.job)
        work.job.resources.callback(os.close, fetched.fd)
        attrs = operation.attrs
        owner = f"{attrs.get('http.perm', '')} {attrs.get('http.uid', '')} {attrs.get('http.gid', '')}"
        identity = f"http {fetched.digest} {fetched.filename} {owner} {fetched.modified}"
        work.job.runs[_key(work)] = (identity, fetched)
        return identity

    def known(self, work: Work) -> bool:
        """Tell whether an earlier build has made the tree."""
        return self._trees.find(work.job.runs[_key(work)][0]) is not None

    async def load(self, work: Work) -> Snapshot:
        """Return the tree. Raises ChecksumWrong, OSError."""
        operation = work.vertex.operation
        assert isinstance(operation, SourceOp)
        identity, fetched = work.job.runs[_key(work)]
        wanted = operation.attrs.get("http.checksum", "")
        if wanted and wanted != fetched.digest:
            raise ChecksumWrong(wanted, fetched.digest)
        found = self._trees.find(identity)
        if found is not None:
            return found
        attrs = operation.attrs
        action = {
            "do": "file",
            "path": f"/{fetched.filename}",
            "source": 0,
            "mode": int(attrs.get("http.perm") or f"0{_DEFAULT_MODE:o}", 8),
            "uid": int(attrs.get("http.uid") or 0),
            "gid": int(attrs.get("http.gid") or 0),
            "time": fetched.modified * _SECOND,
        }
        return await self._trees.make(record_of(identity, f"http url {operation.identifier}"), [action], [fetched.fd])

    async def _fetched(self, operation: SourceOp, job: Job) -> Fetched:
        url = urlsplit(operation.identifier)
        if url.hostname == _SESSION_HOST:
            fd, digest = await _stored(self._scratch, await job.session.upload(url.path))
            return Fetched(fd, digest, _filename(operation.attrs, "", operation.identifier))
        async with self._download(operation, job) as found:
            fd, digest = await _stored(self._scratch, found.chunks)
            name = _filename(operation.attrs, found.headers.get("Content-Disposition", ""), operation.identifier)
            return Fetched(fd, digest, name, _instant(found.headers.get("Last-Modified", "")))

    @asynccontextmanager
    async def _download(self, operation: SourceOp, job: Job) -> AsyncIterator[Download]:
        headers = await _authorization(operation, job)
        try:
            async with download_with(self._transport, operation.identifier, headers) as found:
                yield found
        except NotServed as error:
            raise DownloadFailed(error.status) from error


def _key(work: Work) -> str:
    return f"http {work.digest}"


async def _authorization(operation: SourceOp, job: Job) -> dict[str, str]:
    """Return what the client has for the host: a whole header, or a token."""
    host = urlsplit(operation.identifier).hostname or ""
    named = operation.attrs.get("http.authheadersecret")
    for secret in [named] if named else [f"HTTP_AUTH_HEADER_{host}"]:
        if value := await job.session.secret(secret):
            return {"Authorization": value.decode()}
    if not named and (token := await job.session.secret(f"HTTP_AUTH_TOKEN_{host}")):
        return {"Authorization": f"Bearer {token.decode()}"}
    return {}


async def _stored(scratch: Path, chunks: AsyncIterator[bytes]) -> tuple[int, str]:
    """Return a descriptor of a nameless file with what comes, and its digest."""
    fd = os.open(scratch, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    whole = hashlib.sha256()
    try:
        async for chunk in chunks:
            await asyncio.to_thread(_write, fd, chunk, whole)
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd, f"sha256:{whole.hexdigest()}"


def _write(fd: int, data: bytes, whole: "hashlib._Hash") -> None:
    whole.update(data)
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def _filename(attrs: Mapping[str, str], disposition: str, url: str) -> str:
    """Return the file's name: the frontend's, the server's, the last part of the address."""
    if name := posixpath.basename(attrs.get("http.filename", "")):
        return name
    _, _, given = disposition.partition("filename=")
    if name := posixpath.basename(given.strip().strip('"')):
        return name
    return posixpath.basename(unquote(urlsplit(url).path)) or "download"


def _instant(text: str) -> int:
    try:
        return int(email.utils.parsedate_to_datetime(text).timestamp()) if text else 0
    except ValueError:
        return 0
