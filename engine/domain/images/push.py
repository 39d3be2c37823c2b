"""`docker push`: blobs that the registry does not have, then the manifest, byte for byte as it is stored here."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from engine.core import references
from engine.core.ids import short
from engine.core.model.image import Descriptor, Image, Platform, Statements, StoredImage
from engine.core.references import Reference
from engine.domain.images.announce import Announcer
from engine.domain.images.failures import NoTagToPush, PushFailed, TagMissing
from engine.domain.images.garbage import Lease
from engine.domain.images.images import choose, preferred
from engine.domain.images.progress import IndexNarrowed, Note, Sink, Step
from engine.domain.images.pull import Stores
from engine.domain.images.pull_progress import INTERVAL
from engine.domain.images.tasks import run_all, stop
from engine.drivers.registry import upload
from engine.drivers.registry.credentials import ANONYMOUS, Credentials
from engine.drivers.registry.failures import RegistryUnreachable
from engine.drivers.registry.repository import Repository, Source
from engine.drivers.registry.transport import Transport

T = TypeVar("T")
_MOUNT_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class PushOptions:
    """What a client asks for: a reference without a tag means all tags; `platform` narrows an index."""

    reference: Reference
    credentials: Credentials = ANONYMOUS
    platform: Platform | None = None


@dataclass(eq=False, slots=True)
class _Blob:
    """A blob on its way out."""

    descriptor: Descriptor
    status: str = "Waiting"
    sent: int = 0

    def step(self) -> Step:
        total = self.descriptor.size if self.status == "Pushing" else 0
        return Step(short(self.descriptor.digest), self.status, self.sent if total else 0, total)

    def advance(self, sent: int) -> None:
        self.status, self.sent = "Pushing", sent


@dataclass(frozen=True, slots=True)
class _Slots:
    """How many blobs are sent at a time, and how many are under way, which the registry is asked about.

    What comes next is prepared, so that it can go on at once; registries forget uploads that nothing comes for.
    """

    sending: asyncio.Semaphore
    under_way: asyncio.Semaphore


class Pusher:
    """Pushes images, at most `limit` layers at a time."""

    def __init__(self, stores: Stores, transport: Transport, announcer: Announcer, limit: int = 5) -> None:
        self._stores = stores
        self._transport = transport
        self._announcer = announcer
        self._slots = _Slots(sending=asyncio.Semaphore(limit), under_way=asyncio.Semaphore(2 * limit))

    async def push(self, options: PushOptions, sink: Sink) -> None:
        """Push a tag, or all tags of a repository. Raises WharfError, most of them after the first line."""
        await sink(Note(f"The push refers to repository [{options.reference.name}]"))
        for reference, stored in self._meant(options.reference):
            image = choose(stored, reference.familiar, options.platform)
            with self._stores.garbage.lease() as lease:
                work = _Work(self._stores, self._transport, self._slots, lease)
                sent = await work.push(options, reference, stored, image, sink)
            await self._stores.catalog.add_source(stored.target.digest, reference.name)
            self._announcer.at_registry("push", reference, preferred(stored))
            await sink(Note(f"{reference.tag}: digest: {sent.digest} size: {sent.size}"))

    async def send(self, options: PushOptions, stored: StoredImage, sink: Sink) -> Descriptor:
        """Push an image that need not have this name here; without a tag, by its digest. Raises WharfError."""
        with self._stores.garbage.lease() as lease:
            work = _Work(self._stores, self._transport, self._slots, lease)
            return await work.push(options, options.reference, stored, preferred(stored), sink)

    def _meant(self, reference: Reference) -> list[tuple[Reference, StoredImage]]:
        catalog = self._stores.catalog
        if reference.tag or reference.digest:
            name = catalog.name(reference)
            stored = catalog.get(name.target) if name else None
            if stored is None:
                raise TagMissing(reference.familiar)
            return [(reference, stored)]
        names = sorted((n for n in catalog.names()), key=lambda n: n.name)
        parsed = [(references.parse(n.name), catalog.get(n.target)) for n in names]
        found = [(r, s) for r, s in parsed if r.name == reference.name and r.tag and s is not None]
        if not found:
            raise NoTagToPush(reference.familiar_name)
        return found


class _Work:
    """The sending of one image."""

    def __init__(self, stores: Stores, transport: Transport, slots: _Slots, lease: Lease) -> None:
        self._stores = stores
        self._transport = transport
        self._slots = slots
        self._lease = lease

    async def push(
        self, options: PushOptions, reference: Reference, stored: StoredImage, image: Image, sink: Sink
    ) -> Descriptor:
        """Send everything; return what the tag points at there now."""
        parts: list[Image | Statements] = [*stored.images, *stored.statements]
        whole = options.platform is None and len(parts) == len(stored.manifests)
        images = parts if whole else [image]
        target = stored.target if whole else image.manifest
        if not whole and image.manifest.digest != stored.target.digest:
            await sink(IndexNarrowed(stored.target, image.manifest))
        source = Repository(self._transport, reference, options.credentials, "push").origin
        await self._hold(images, target)
        await self._send_blobs(source, reference, images, sink)
        for one in images:
            if one.manifest.digest != target.digest:
                await self._send_manifest(source, one.manifest, one.manifest.digest)
        await self._send_manifest(source, target, reference.tag or target.digest)
        return target

    async def _hold(self, images: Sequence[Image | Statements], target: Descriptor) -> None:
        await self._lease.blob(target.digest)
        for image in images:
            for descriptor in (image.manifest, image.config_descriptor, *image.layers):
                await self._lease.blob(descriptor.digest)

    async def _send_manifest(self, source: Source, descriptor: Descriptor, tag: str) -> None:
        data = await self._stores.content.read(descriptor.digest)
        await _worded(upload.put_manifest(source, tag, descriptor.media_type, data))

    async def _send_blobs(
        self, source: Source, reference: Reference, images: Sequence[Image | Statements], sink: Sink
    ) -> None:
        layers = [_Blob(d) for d in _unique(d for image in images for d in image.layers)]
        configs = [_Blob(d) for d in _unique(image.config_descriptor for image in images)]
        told: dict[_Blob, Step] = {}
        await _tell_once(layers, told, sink)
        telling = asyncio.ensure_future(_tell(layers, told, sink))
        try:
            await run_all([self._in_turn(source, reference, blob) for blob in (*configs, *layers)])
        finally:
            await stop(telling)
        await _tell_once(layers, told, sink)

    async def _in_turn(self, source: Source, reference: Reference, blob: _Blob) -> None:
        async with self._slots.under_way:
            await self._send(source, reference, blob)

    async def _send(self, source: Source, reference: Reference, blob: _Blob) -> None:
        digest = blob.descriptor.digest
        if await _worded(upload.has_blob(source, digest)):
            blob.status = "Layer already exists"
            return
        for other in self._elsewhere(reference, digest):
            if await upload.mount(source, digest, other):
                blob.status = f"Mounted from {other}"
                return
        location = await _worded(upload.begin(source))
        async with self._slots.sending:
            file = upload.Blob(self._stores.content.path(digest), blob.descriptor)
            await _worded(upload.put_blob(source, location, file, blob.advance))
        blob.status = "Pushed"

    def _elsewhere(self, reference: Reference, digest: str) -> list[str]:
        """Return the repositories of the same registry in which the blob should be: images came from or went there."""
        catalog, here = self._stores.catalog, f"{reference.domain}/"
        found: list[str] = []
        for stored in catalog.images():
            if any(digest == layer.digest for image in stored.images for layer in image.layers):
                names = [references.parse(n.name).name for n in catalog.names_of(stored.target.digest)]
                found += [n.removeprefix(here) for n in [*stored.sources, *names] if n.startswith(here)]
        return [path for path in dict.fromkeys(found) if path != reference.path][:_MOUNT_ATTEMPTS]


async def _worded(work: Awaitable[T]) -> T:
    """Await a step of the exchange; say of a missing connection what dockerd says."""
    try:
        return await work
    except RegistryUnreachable as error:
        raise PushFailed(str(error)) from error


def _unique(descriptors: Iterable[Descriptor]) -> list[Descriptor]:
    return list({d.digest: d for d in descriptors}.values())


async def _tell(blobs: Sequence[_Blob], told: dict[_Blob, Step], sink: Sink) -> None:
    while True:
        await asyncio.sleep(INTERVAL)
        await _tell_once(blobs, told, sink)


async def _tell_once(blobs: Sequence[_Blob], told: dict[_Blob, Step], sink: Sink) -> None:
    for blob in blobs:
        step = blob.step()
        if told.get(blob) != step:
            told[blob] = step
            await sink(step)
