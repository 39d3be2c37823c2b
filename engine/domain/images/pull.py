"""`docker pull`: from a name at a registry to an image that is unpacked and has that name here.

Nothing is visible before everything is there. Layers are fetched a few at a time and unpacked in their order while
later ones still arrive.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from engine.core.errors import NotFound, WharfError
from engine.core.model.image import Descriptor, Image, Platform, StoredImage
from engine.core.references import Reference
from engine.domain.images import documents
from engine.domain.images.announce import Announcer
from engine.domain.images.catalog import Catalog
from engine.domain.images.config import read_image
from engine.domain.images.documents import Index, Manifest
from engine.domain.images.downloads import Downloader
from engine.domain.images.failures import (
    MalformedImage,
    NoCredentials,
    NoMatchingManifest,
    NotAuthorized,
    PullAccessDenied,
    ResolveFailed,
    ResolveNotFound,
)
from engine.domain.images.garbage import Garbage, Lease
from engine.domain.images.origin import Origin
from engine.domain.images.platforms import best, host, parse_platform
from engine.domain.images.progress import Note, Sink
from engine.domain.images.pull_progress import LayerWork, Phase, Reporter
from engine.domain.images.tasks import failure, stop
from engine.domain.images.unpack import Unpacker, layer_sources
from engine.drivers.registry.credentials import ANONYMOUS, Credentials
from engine.drivers.registry.failures import (
    AccessDenied,
    AuthorizationRefused,
    CredentialsRefused,
    RegistryUnreachable,
    UnexpectedStatus,
)
from engine.drivers.registry.repository import Repository
from engine.drivers.registry.transport import Transport
from engine.drivers.storage.content import ContentStore


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What a client asks for: a reference without tag and digest means all tags."""

    reference: Reference
    platform: str = ""
    credentials: Credentials = ANONYMOUS


@dataclass(frozen=True, slots=True)
class Stores:
    """Where what is pulled goes."""

    catalog: Catalog
    content: ContentStore
    garbage: Garbage
    unpacker: Unpacker


class Puller:
    """Pulls images."""

    def __init__(self, stores: Stores, transport: Transport, downloader: Downloader, announcer: Announcer) -> None:
        self._stores = stores
        self._transport = transport
        self._downloader = downloader
        self._announcer = announcer

    async def pull(self, options: PullOptions, sink: Sink) -> None:
        """Pull one name, or all tags of a repository. Raises WharfError; ConnectionError when the client is gone."""
        wanted = parse_platform(options.platform) if options.platform else host()
        repository = Repository(self._transport, options.reference, options.credentials)
        reference = options.reference
        if reference.tag or reference.digest:
            await self._pull_one(repository, reference, wanted, sink)
            return
        for tag in await _tags(repository, reference):
            await self._pull_one(repository, Reference(reference.domain, reference.path, tag), wanted, sink)

    async def _pull_one(self, repository: Repository, reference: Reference, wanted: Platform, sink: Sink) -> None:
        target = await _resolve(repository, reference)
        with self._stores.garbage.lease(resumable=True) as lease:
            work = Fetch(self._stores, repository, self._downloader, lease)
            note = Note(f"Pulling from {reference.path}", reference.tag or reference.familiar)
            stored = await work.describe(target, wanted, lambda: sink(note))
            image = stored.images[0]
            await work.bring(image, sink)
            # A client that leaves now must not leave the image half recorded.
            moved = await asyncio.shield(asyncio.ensure_future(self._stores.catalog.add(stored, _kept(reference))))
        self._announcer.at_registry("pull", reference, image)
        await sink(Note(f"Digest: {target.digest}"))
        news = "Downloaded newer image" if moved else "Image is up to date"
        await sink(Note(f"Status: {news} for {reference.familiar}"))


def _kept(reference: Reference) -> Reference:
    """Return the name under which a pulled image is kept: a digest says all, so a tag beside it is dropped."""
    return Reference(reference.domain, reference.path, "" if reference.digest else reference.tag, reference.digest)


async def _tags(repository: Repository, reference: Reference) -> list[str]:
    try:
        return await repository.tags()
    except CredentialsRefused as error:
        raise NotAuthorized("Get", repository.tags_url, error.detail) from error
    except AuthorizationRefused as error:
        raise PullAccessDenied(reference.familiar_name, "denied: requested access to the resource is denied") from error
    except AccessDenied as error:
        raise NoCredentials("Get", repository.tags_url) from error


async def _resolve(repository: Repository, reference: Reference) -> Descriptor:
    try:
        return await repository.resolve(reference)
    except NotFound as error:
        raise ResolveNotFound(str(reference), str(error)) from error
    except AuthorizationRefused as error:
        raise PullAccessDenied(reference.familiar_name) from error
    except CredentialsRefused:
        raise
    except RegistryUnreachable as error:
        raise ResolveFailed(str(reference), f"failed to do request: {error}") from error
    except UnexpectedStatus as error:
        raise ResolveFailed(str(reference), str(error), "unknown: ") from error
    except WharfError as error:
        raise ResolveFailed(str(reference), str(error)) from error


class Fetch:
    """The fetching of one image, which is whole in the end and has no name. The lease keeps what has come."""

    def __init__(self, stores: Stores, origin: Origin, downloader: Downloader, lease: Lease) -> None:
        self._content = stores.content
        self._unpacker = stores.unpacker
        self._origin = origin
        self._downloader = downloader
        self._lease = lease

    async def describe(
        self, target: Descriptor, wanted: Platform, begin: Callable[[], Awaitable[None]] | None = None
    ) -> StoredImage:
        """Fetch the documents: index, manifest, configuration. `begin`: called when it is clear which manifest."""
        manifests, chosen = await self._choose(target, wanted)
        if begin is not None:
            await begin()
        manifest = documents.parse(await self._document(chosen, manifest=True), chosen.media_type)
        if not isinstance(manifest, Manifest):
            raise MalformedImage("invalid index: an index within an index")
        require_layers(manifest)
        config = await self._document(manifest.config, manifest=False)
        image = read_image(target, chosen, manifest, config)
        sources = [self._origin.name]
        return StoredImage(target=target, manifests=manifests, images=[image], sources=sources)

    async def _choose(self, target: Descriptor, wanted: Platform) -> tuple[list[Descriptor], Descriptor]:
        """Return all manifests, and the one for a platform."""
        if target.media_type not in documents.MANIFESTS:
            document = documents.parse(await self._document(target, manifest=True), target.media_type)
            if isinstance(document, Index):
                return document.manifests, choose_manifest(document, wanted)
        return [target], target

    async def _document(self, descriptor: Descriptor, *, manifest: bool) -> bytes:
        await self._lease.blob(descriptor.digest)
        if not self._content.has(descriptor.digest):
            fetch = self._origin.manifest if manifest else self._origin.document
            await self._content.put(await fetch(descriptor), descriptor.digest)
        return await self._content.read(descriptor.digest)

    async def bring(self, image: Image, sink: Sink) -> None:
        """Fetch and unpack the layers, telling how it goes."""
        works = []
        for source in layer_sources(image):
            await self._lease.blob(source.blob.digest)
            await self._lease.chain(source.chain)
            works.append(LayerWork(source, present=self._content.has(source.blob.digest)))
        reporter = Reporter(works, sink)
        telling = asyncio.ensure_future(reporter.run())
        working = asyncio.ensure_future(self._fetch_and_unpack(works))
        try:
            await asyncio.wait((telling, working), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await stop(telling, working)
        if telling.done() and not telling.cancelled():
            await telling
        await working
        await reporter.tell()

    async def _fetch_and_unpack(self, works: Sequence[LayerWork]) -> None:
        fetches = [asyncio.ensure_future(self._fetch(w)) for w in _unique(works)]
        by_digest = {w.source.blob.digest: f for w, f in zip(_unique(works), fetches, strict=True)}
        try:
            for work in works:
                await self._arrived(by_digest[work.source.blob.digest], fetches)
                if not self._unpacker.has(work.source.chain):
                    work.extract()
                    await self._unpacker.ensure(work.source)
                work.phase = Phase.COMPLETE
        finally:
            await stop(*fetches)

    async def _arrived(self, wanted: "asyncio.Future[None]", fetches: "Sequence[asyncio.Future[None]]") -> None:
        """Wait for one blob, but not if another has failed."""
        pending = [f for f in fetches if not f.done()]
        while not wanted.done() and not failure(fetches):
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            pending = [f for f in fetches if not f.done()]
        failed = failure(fetches)
        if failed is not None:
            raise failed
        await wanted

    async def _fetch(self, work: LayerWork) -> None:
        blob = work.source.blob
        while not self._content.has(blob.digest):
            joined = self._downloader.is_running(blob.digest)
            work.download = self._downloader.begin(self._origin, blob)
            work.phase = Phase.DOWNLOADING
            try:
                await self._downloader.wait(work.download)
            except WharfError:
                # Another pull's failure may be due to its credentials: try with one's own.
                if not joined:
                    raise
        work.phase = Phase.DOWNLOADED


def _unique(works: Sequence[LayerWork]) -> list[LayerWork]:
    """Return the first work of each blob: an image may have the same layer twice."""
    return list({w.source.blob.digest: w for w in reversed(works)}.values())[::-1]


def choose_manifest(index: Index, wanted: Platform) -> Descriptor:
    """Return the entry that suits a platform best. Raises NoMatchingManifest."""
    usable = [m for m in index.manifests if not documents.is_attestation(m)]
    position = best(wanted, [m.platform for m in usable])
    if position >= 0:
        return usable[position]
    if len(usable) == 1 and usable[0].platform is None:
        return usable[0]
    raise NoMatchingManifest(wanted)


def require_layers(manifest: Manifest) -> None:
    """Raise MalformedImage where a manifest is no image's: a plugin, or not of file system layers (a chart)."""
    if manifest.config.media_type == documents.PLUGIN_CONFIG:
        raise MalformedImage(f'encountered remote "{documents.PLUGIN_CONFIG}"(plugin) when fetching')
    for layer in manifest.layers:
        if not documents.is_layer(layer):
            raise MalformedImage(f"unsupported layer media type {layer.media_type}")
