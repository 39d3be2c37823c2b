"""What an image's name stands for: here or, where it is not here or the client wants it so, at its registry."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from engine.core import digest as digests
from engine.core import ids, references, times
from engine.core.errors import NotFound, WharfError
from engine.core.model.image import Descriptor, Image, Platform, StoredImage
from engine.core.references import Reference
from engine.domain.builder.failures import RequestFailed, SourceUnresolved, StorageFailed, worded
from engine.domain.builder.job import Job
from engine.domain.builder.progress import VertexEvent
from engine.domain.builder.sources.client_origin import ClientOrigin, Layout
from engine.domain.images.documents import is_attestation
from engine.domain.images.downloads import Downloader
from engine.domain.images.garbage import Lease
from engine.domain.images.images import Images, for_host, of_platform
from engine.domain.images.origin import Origin
from engine.domain.images.platforms import host
from engine.domain.images.pull import Fetch, Stores
from engine.drivers.registry.credentials import ANONYMOUS, Credentials
from engine.drivers.registry.failures import RegistryUnreachable
from engine.drivers.registry.repository import Repository
from engine.drivers.registry.transport import Transport

PULL = "pull"


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """An image's normalised name with its digest, and its configuration's bytes."""

    reference: str
    digest: str
    config: bytes


@dataclass(frozen=True, slots=True)
class FoundImage:
    """A platform's image, of which perhaps only the documents are here."""

    image: Image
    origin: Origin


class ImageResolver:
    """Finds images for builds. What it fetches is kept as long as the job."""

    def __init__(self, stores: Stores, images: Images, transport: Transport, downloader: Downloader) -> None:
        self._stores = stores
        self._images = images
        self._transport = transport
        self._downloader = downloader

    async def resolve(self, reference: str, platform: Platform | None, mode: str, job: Job) -> ResolvedImage:
        """Return what a name stands for; `mode` is `default`, `local` or `pull`. Tells the job. Raises WharfError."""
        parsed = references.parse(reference).with_default_tag()
        wanted = platform or host()
        memo = f"metadata {parsed} {wanted} {mode}"
        if memo not in job.runs:
            job.runs[memo] = job.spawn(self._told(parsed, wanted, mode, job), memo)
        found: ResolvedImage = await asyncio.shield(job.runs[memo])
        return found

    async def _told(self, reference: Reference, platform: Platform, mode: str, job: Job) -> ResolvedImage:
        try:
            async with vertex(f"[internal] load metadata for {reference}", job):
                found = await self._requested(self.find(reference, platform, mode, job))
                config = await self.config(found)
        except (WharfError, OSError) as error:
            raise SourceUnresolved(str(reference), error) from error
        tag = f":{reference.tag}" if reference.tag else ""
        digest = reference.digest or found.image.target.digest
        return ResolvedImage(f"{reference.name}{tag}@{digest}", digest, config)

    async def _requested(self, finding: Awaitable[FoundImage]) -> FoundImage:
        try:
            return await finding
        except RegistryUnreachable as error:
            raise RequestFailed(error) from error

    async def layout(self, layout: Layout, platform: Platform, log_name: str, job: Job) -> ResolvedImage:
        """Return what is known of an image in a client's layout, told by that name. Raises SourceUnresolved."""
        memo = f"metadata {layout.store} {layout.reference} {platform}"
        if memo not in job.runs:
            job.runs[memo] = job.spawn(self._layout(layout, platform, log_name, job), memo)
        found: ResolvedImage = await asyncio.shield(job.runs[memo])
        return found

    async def _layout(self, layout: Layout, platform: Platform, log_name: str, job: Job) -> ResolvedImage:
        async with vertex(log_name, job):
            try:
                config = await self.config(await self.find_layout(layout, platform, job))
            except (WharfError, OSError) as error:
                raise SourceUnresolved(str(layout.reference), error) from error
        return ResolvedImage(str(layout.reference), layout.reference.digest, config)

    async def find_layout(self, layout: Layout, platform: Platform, job: Job) -> FoundImage:
        """Return a platform's image in a layout. Raises WharfError."""
        store, digest = await job.session.store(layout.store_id, layout.session), layout.reference.digest
        target = Descriptor(media_type="", digest=digest, size=await store.size(digest))
        return await self.described(target, ClientOrigin(store), platform, job)

    async def find(self, reference: Reference, platform: Platform, mode: str, job: Job) -> FoundImage:
        """Return a platform's image. Raises WharfError."""
        repository = Repository(self._transport, reference, await self._credentials(reference, job))
        if mode != PULL or reference.digest:
            stored = self._local(reference)
            here = of_platform(stored, platform) or for_host(stored) if stored else None
            if here is not None:
                self._keep(here, job)
                return FoundImage(here, repository)
        target = self._known(reference) or await repository.resolve(reference)
        return await self.described(target, repository, platform, job)

    async def described(self, target: Descriptor, origin: Origin, platform: Platform, job: Job) -> FoundImage:
        """Return a platform's image of an index or a manifest, its documents fetched. Raises WharfError."""
        with self._stores.garbage.lease() as lease:
            image = (await self.fetch(origin, lease).describe(target, platform)).images[0]
            self._keep(image, job)
        return FoundImage(image, origin)

    async def config(self, found: FoundImage) -> bytes:
        """Return an image's configuration. Raises NotFound, OSError."""
        return await self._stores.content.read(found.image.config_descriptor.digest)

    async def caches(self, reference: Reference, job: Job) -> list[FoundImage]:
        """Return the images behind the name of a cache. Raises WharfError."""
        repository = Repository(self._transport, reference, await self._credentials(reference, job))
        if (stored := self._local(reference)) is not None and stored.images:
            for image in stored.images:
                self._keep(image, job)
            return [FoundImage(image, repository) for image in stored.images]
        return await self.all_of(await repository.resolve(reference), repository, job)

    async def all_of(self, target: Descriptor, origin: Origin, job: Job) -> list[FoundImage]:
        """Return all images of an index, whatever they are for, or the one of a manifest. Raises WharfError."""
        job.needs.blobs.add(target.digest)
        with self._stores.garbage.lease() as lease:
            whole = await self.fetch(origin, lease).describe(target, host())
            wanted = [each for each in whole.manifests if not is_attestation(each)]
            return [await self.described(each, origin, host(), job) for each in wanted]

    def fetch(self, origin: Origin, lease: Lease) -> Fetch:
        """Return what brings an image's content."""
        return Fetch(self._stores, origin, self._downloader, lease)

    async def _credentials(self, reference: Reference, job: Job) -> Credentials:
        return await job.credentials_for(reference.domain) or ANONYMOUS

    def _local(self, reference: Reference) -> StoredImage | None:
        catalog = self._stores.catalog
        if reference.digest:
            return catalog.get(reference.digest)
        try:
            return self._images.find(str(reference))
        except NotFound:
            return None

    def _known(self, reference: Reference) -> Descriptor | None:
        """Return what a digest stands for when the document is here, from an earlier build."""
        content, digest = self._stores.content, reference.digest
        if not digest or not content.has(digest):
            return None
        return Descriptor(media_type="", digest=digest, size=content.size(digest))

    def _keep(self, image: Image, job: Job) -> None:
        job.needs.blobs |= {image.target.digest, image.manifest.digest, image.config_descriptor.digest}


@asynccontextmanager
async def vertex(name: str, job: Job) -> AsyncIterator[str]:
    """Tell the job's progress of work that is not in the graph; gives the digest by which it is known."""
    digest = digests.of(f"{job.ref} {name} {ids.new_id()}".encode())
    started = times.now()
    job.progress.send(VertexEvent(digest, name, started=started))
    try:
        yield digest
    except BaseException as error:
        text = "context canceled" if isinstance(error, asyncio.CancelledError) else worded(error)
        job.progress.send(VertexEvent(digest, name, started=started, completed=times.now(), error=text))
        if isinstance(error, OSError):
            raise StorageFailed(error) from error
        raise
    job.progress.send(VertexEvent(digest, name, started=started, completed=times.now()))


def documents_of(image: Image) -> Sequence[str]:
    """Return the digests of an image's documents."""
    return [image.target.digest, image.manifest.digest, image.config_descriptor.digest]
