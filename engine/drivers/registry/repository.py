"""A repository at a registry: resolve names, read manifests, blobs and tags (OCI distribution specification).

Each question goes to the mirrors in turn, then to the registry itself, which alone is shown credentials.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from engine.core import digest as digests
from engine.core.errors import WharfError
from engine.core.model.image import Descriptor
from engine.core.references import Reference, is_tag
from engine.drivers.registry.answers import told_in
from engine.drivers.registry.authorize import Authorizer
from engine.drivers.registry.credentials import ANONYMOUS, Credentials
from engine.drivers.registry.failures import (
    NO_CONTENT,
    ContentNotFound,
    InvalidDigest,
    MalformedAnswer,
    ManifestNotFound,
    NotFetched,
    RegistryUnreachable,
    RepositoryNotFound,
    ResponseTooLarge,
    TransferInterrupted,
    UnexpectedStatus,
)
from engine.drivers.registry.settings import Endpoint, endpoints, server_domain
from engine.drivers.registry.transport import Transport, explain

T = TypeVar("T")
Body = bytes | Callable[[], aiohttp.Payload] | None
"""What a request carries: bytes, or what makes a body, which may have to be sent again with a token."""
MANIFEST_LIMIT = 4 << 20
_MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "*/*",
)
_ACCEPT = {"Accept": ", ".join(_MANIFEST_TYPES)}
_MAX_TAG_PAGES, _MAX_TAGS = 1000, 100_000
_MAX_URLS = 10
_BUSY = (408, 429, 502, 503, 504)
_FIRST_PAUSE, _LAST_PAUSE, _MAX_WAIT = 0.25, 2.0, 20.0


class Source:
    """The repository at one endpoint."""

    def __init__(self, transport: Transport, endpoint: Endpoint, path: str, authorizer: Authorizer) -> None:
        self._transport = transport
        self.endpoint = endpoint
        self.path = path
        self.authorizer = authorizer

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], data: Body = None
    ) -> aiohttp.ClientResponse:
        """Send a request, with a token got on the way where one is wanted. `path` is below `/v2/<name>/` or a URL."""
        where = path if "://" in path else f"/v2/{self.path}/{path}"
        if self.endpoint.mirror and "://" not in where:
            where += f"{'&' if '?' in where else '?'}ns={self.endpoint.domain}"
        for _ in range(2):
            shown = self._authorization(where)
            body = data() if callable(data) else data
            response = await self._patiently(method, where, {**headers, **shown}, body)
            if response.status != 401:
                break
            challenges = response.headers.getall("WWW-Authenticate", [])
            response.release()
            if not await self.authorizer.answer(str(response.url), challenges, shown):
                break
        return response

    async def _patiently(
        self, method: str, where: str, headers: Mapping[str, str], body: bytes | aiohttp.Payload | None
    ) -> aiohttp.ClientResponse:
        """Send a request; ask again a little later where the registry is busy and nothing was sent that can be lost."""
        pause = _FIRST_PAUSE
        while True:
            response = await self._transport.send(self.endpoint, method, where, headers, body)
            if response.status not in _BUSY or method not in ("GET", "HEAD") or pause > _LAST_PAUSE:
                return response
            wait = response.headers.get("Retry-After", "")
            response.release()
            await asyncio.sleep(min(float(wait), _MAX_WAIT) if wait.isdigit() else pause)
            pause *= 2

    def _authorization(self, where: str) -> dict[str, str]:
        """Return the header; a registry may name another host for uploads, which is shown nothing."""
        if "://" in where and urlsplit(where).netloc != urlsplit(self.endpoint.url).netloc:
            return {}
        return self.authorizer.headers()


class Repository:
    """A repository by its domain and path. Use it for one client's request."""

    def __init__(
        self, transport: Transport, reference: Reference, credentials: Credentials, action: str = "pull"
    ) -> None:
        self._transport = transport
        self._reference = reference
        scope = f"repository:{reference.path}:{'pull' if action == 'pull' else 'pull,push'}"
        self._sources = []
        for endpoint in endpoints(reference.domain, transport.settings):
            if endpoint.mirror and action != "pull":
                continue
            shown = ANONYMOUS if endpoint.mirror or not _meant_for(credentials, reference) else credentials
            authorizer = Authorizer(transport, endpoint, shown, [scope], action)
            self._sources.append(Source(transport, endpoint, reference.path, authorizer))

    @property
    def name(self) -> str:
        """`host/path`."""
        return self._reference.name

    @property
    def origin(self) -> Source:
        """The registry itself."""
        return self._sources[-1]

    async def _first(self, ask: Callable[[Source], Awaitable[T]]) -> T:
        """Ask the mirrors, then the registry itself, whose error counts."""
        for source in self._sources[:-1]:
            try:
                return await ask(source)
            except WharfError:
                continue
        return await ask(self.origin)

    async def resolve(self, reference: Reference) -> Descriptor:
        """Return what a tag or digest stands for. Raises ManifestNotFound, UnexpectedStatus, AccessDenied, …"""
        return await self._first(lambda source: _resolve(source, reference))

    async def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest's or index's bytes; the caller verifies them. Raises ContentNotFound, NotFetched, …"""
        with _fetching():
            return await self._first(lambda source: _manifest(source, descriptor.digest))

    async def document(self, descriptor: Descriptor) -> bytes:
        """Return a small blob (a configuration); the caller verifies it. Raises ContentNotFound, NotFetched, …"""
        with _fetching():
            return await self._first(lambda source: _document(source, descriptor))

    @asynccontextmanager
    async def blob(self, descriptor: Descriptor, offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give a blob's bytes from `offset` on.

        Raises ContentNotFound, NotFetched, …; the iterator raises TransferInterrupted.
        """
        with _fetching():
            response = await self._elsewhere(descriptor, offset)
            if response is None:
                response = await self._first(lambda source: _open_blob(source, descriptor, offset))
        try:
            skip = offset if response.status == 200 else 0
            yield chunks_of(response, skip)
        finally:
            response.close()

    async def _elsewhere(self, descriptor: Descriptor, offset: int) -> aiohttp.ClientResponse | None:
        """Open what a descriptor says to be elsewhere too ("foreign" layers). These places are shown no credentials."""
        for url in (descriptor.urls or ())[:_MAX_URLS]:
            if not url.startswith(("http://", "https://")):
                continue
            try:
                response = await self._transport.send(Endpoint(url=url, domain=""), "GET", url, _range(offset))
            except RegistryUnreachable:
                continue
            if response.status in (200, 206 if offset else 200):
                return response
            response.close()
        return None

    @property
    def tags_url(self) -> str:
        """Where the tags are."""
        return self._transport.url(self.origin.endpoint, f"/v2/{self._reference.path}/tags/list")

    async def tags(self) -> list[str]:
        """Return all tags; what can be none is left out. Raises RepositoryNotFound, MalformedAnswer, …"""
        source, path, found = self.origin, "tags/list", list[str]()
        for _ in range(_MAX_TAG_PAGES):
            async with await source.send("GET", path, {}) as response:
                if response.status == 404:
                    raise RepositoryNotFound(self._reference.familiar_name)
                _require(response, "GET", (200,))
                found += _tags_in(await read_document(response), str(response.url))
                following = response.links.get("next")
            if len(found) > _MAX_TAGS:
                raise MalformedAnswer(self.tags_url, f"more than {_MAX_TAGS} tags")
            if not following:
                break
            path = str(following["url"])
            if urlsplit(path).netloc != urlsplit(str(response.url)).netloc:
                break
        return list(dict.fromkeys(found))


def _meant_for(credentials: Credentials, reference: Reference) -> bool:
    """Tell whether credentials may be shown to a reference's registry: clients say where they got them for."""
    address = credentials.server_address
    return not address or server_domain(address) == reference.domain


async def _resolve(source: Source, reference: Reference) -> Descriptor:
    wanted = reference.digest or reference.tag
    async with await source.send("HEAD", f"manifests/{wanted}", _ACCEPT) as response:
        if response.status == 404:
            raise ManifestNotFound(str(reference))
        _require(response, "HEAD", (200,))
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        digest = response.headers.get("Docker-Content-Digest", "")
        size = int(response.headers.get("Content-Length", "0") or 0)
    if digest and (reason := digests.problem_of(digest)):
        raise InvalidDigest(digest, reason)
    if reference.digest and digest and digest != reference.digest:
        raise MalformedAnswer(str(response.url), f"digest {digest} for {reference.digest}")
    digest = digest or reference.digest
    if not digest or not size or not media_type:
        data, media_type = await _manifest_and_type(source, wanted)
        digest, size = reference.digest or digests.of(data), len(data)
    return Descriptor(media_type=media_type, digest=digest, size=size)


async def _manifest(source: Source, digest: str) -> bytes:
    return (await _manifest_and_type(source, digest))[0]


async def _manifest_and_type(source: Source, wanted: str) -> tuple[bytes, str]:
    async with await source.send("GET", f"manifests/{wanted}", _ACCEPT) as response:
        if response.status == 404:
            raise ContentNotFound(f"{NO_CONTENT}content at {response.url} not found: not found")
        if response.status != 200:
            raise await unexpected(response, "GET")
        return await read_document(response), response.headers.get("Content-Type", "").partition(";")[0].strip()


async def _document(source: Source, descriptor: Descriptor) -> bytes:
    response = await _open_blob(source, descriptor, 0)
    async with response:
        return await read_document(response)


async def _open_blob(source: Source, descriptor: Descriptor, offset: int) -> aiohttp.ClientResponse:
    response = await source.send("GET", f"blobs/{descriptor.digest}", _range(offset))
    if response.status in (200, 206 if offset else 200):
        return response
    async with response:
        if response.status == 404:
            what = f"could not fetch content descriptor {descriptor.digest} ({descriptor.media_type})"
            raise ContentNotFound(f"{NO_CONTENT}{what} from remote: not found")
        raise await unexpected(response, "GET")


def _range(offset: int) -> dict[str, str]:
    return {"Range": f"bytes={offset}-"} if offset else {}


@contextmanager
def _fetching() -> Iterator[None]:
    """Say of what goes wrong that it did so before any content came; what the registry itself says stays as it is."""
    try:
        yield
    except RegistryUnreachable as error:
        raise NotFetched(error) from error
    except UnexpectedStatus as error:
        if error.told:
            raise
        raise NotFetched(error) from error


async def unexpected(response: aiohttp.ClientResponse, method: str) -> UnexpectedStatus:
    """Return the error of an answer, with what the registry says about it."""
    told = ""
    with suppress(WharfError):
        told = told_in(await read_document(response))
    return UnexpectedStatus(method, str(response.url), f"{response.status} {response.reason}", told)


async def chunks_of(response: aiohttp.ClientResponse, skip: int) -> AsyncIterator[bytes]:
    """Give the body's pieces as they come, but for the first `skip` bytes."""
    url = str(response.url)
    try:
        async for chunk in response.content.iter_any():
            piece = chunk[skip:] if skip else chunk
            skip = max(skip - len(chunk), 0)
            if piece:
                yield piece
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise TransferInterrupted(url, explain(error)) from error


def _require(response: aiohttp.ClientResponse, method: str, wanted: tuple[int, ...]) -> None:
    if response.status not in wanted:
        raise UnexpectedStatus(method, str(response.url), f"{response.status} {response.reason}")


async def read_document(response: aiohttp.ClientResponse) -> bytes:
    """Return a whole body of at most MANIFEST_LIMIT bytes."""
    pieces, size = [], 0
    async for piece in chunks_of(response, 0):
        size += len(piece)
        if size > MANIFEST_LIMIT:
            response.close()
            raise ResponseTooLarge(str(response.url), MANIFEST_LIMIT)
        pieces.append(piece)
    return b"".join(pieces)


def _tags_in(body: bytes, url: str) -> list[str]:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise MalformedAnswer(url, "no JSON") from error
    tags = answer.get("tags") if isinstance(answer, dict) else None
    return [t for t in tags or [] if isinstance(t, str) and is_tag(t)]
