"""Trees of images: `docker-image://REF`. What is not here is pulled, and kept by the cache without a name."""

from collections.abc import Sequence
from dataclasses import replace

from engine.core import references, times
from engine.core.model.image import Image
from engine.domain.builder.cache import BuildCache, CacheRecord, new_id
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import SourceOp
from engine.domain.builder.progress import StatusEvent
from engine.domain.builder.snapshot import Layer, Snapshot, Snapshots
from engine.domain.builder.solver.executors import Report, Work
from engine.domain.builder.solver.keys import image_layer_key
from engine.domain.builder.sources.resolve import FoundImage, ImageResolver, documents_of
from engine.domain.images.garbage import Garbage
from engine.domain.images.images import Images
from engine.domain.images.platforms import host
from engine.domain.images.progress import Line, Step
from engine.domain.images.unpack import layer_sources
from engine.drivers.storage.content import ContentStore

_SCHEME = "docker-image://"


class ImageSource:
    """Brings images' trees."""

    transient = False

    def __init__(self, resolver: ImageResolver, images: Images, stores: "ImageStores") -> None:
        self._resolver = resolver
        self._images = images
        self._stores = stores

    async def identify(self, work: Work) -> str:
        """Return the digest of the platform's configuration, which names all layers."""
        operation = work.vertex.operation
        assert isinstance(operation, SourceOp)
        reference = references.parse(operation.identifier.removeprefix(_SCHEME)).with_default_tag()
        status = StatusEvent("", f"resolve {reference}", started=times.now())
        work.report(status)
        mode = operation.attrs.get("image.resolvemode", "default")
        found = await self._resolver.find(reference, work.vertex.platform or host(), mode, work.job)
        work.report(replace(status, timestamp=times.now(), completed=times.now()))
        work.job.runs[_key(work)] = found
        return f"image {found.image.config_descriptor.digest}"

    def known(self, work: Work) -> bool:
        """Tell whether an earlier build has used the image."""
        return self.used(work.job.runs[_key(work)])

    def used(self, found: FoundImage) -> bool:
        """Tell whether an earlier build has used an image."""
        tree = self._stores.snapshots.of_image(found.image)
        return bool(tree.layers) and self._stores.cache.peek(image_layer_key(tree.layers[-1].id)) is not None

    async def load(self, work: Work) -> Snapshot:
        """Return the tree, having pulled and unpacked what was missing."""
        return await self.bring(work.job.runs[_key(work)], work.job, work.report)

    async def bring(self, found: FoundImage, job: Job, report: Report) -> Snapshot:
        """Return an image's tree, having pulled and unpacked what was missing. Raises WharfError, OSError."""
        tree = self._stores.snapshots.of_image(found.image)
        self._keep(tree, found.image, job)
        await self._stores.garbage.settled()
        if self._is_here(found.image):
            await self._images.unpacked(found.image)
        else:
            with self._stores.garbage.lease(resumable=True) as lease:
                await self._resolver.fetch(found.origin, lease).bring(found.image, _Pull(found.image, report))
        await self._remember(tree, found)
        return tree

    def _is_here(self, image: Image) -> bool:
        return all(self._stores.content.has(layer.digest) for layer in image.layers)

    def _keep(self, tree: Snapshot, image: Image, job: Job) -> None:
        job.needs.chains |= {layer.record.place for layer in tree.layers}
        job.needs.blobs |= {layer.digest for layer in image.layers}

    async def _remember(self, tree: Snapshot, found: FoundImage) -> None:
        """A record for each layer, as BuildKit has it: each builds upon the one below."""
        parents: list[str] = []
        cache = self._stores.cache
        for count, layer in enumerate(tree.layers, 1):
            key = image_layer_key(layer.id)
            record = cache.find(key)
            if record is None:
                last = count == len(tree.layers)
                record = _record(key, tree.layers[:count], parents, found if last else None)
                cache.add(record, [each.record for each in tree.layers[:count]])
            parents = [record.id]
        await cache.write()


class ImageStores:
    """Where images' trees are kept."""

    def __init__(self, snapshots: Snapshots, cache: BuildCache, garbage: Garbage, content: ContentStore) -> None:
        self.snapshots = snapshots
        self.cache = cache
        self.garbage = garbage
        self.content = content


class _Pull:
    """Tells a vertex how far the layers of an image are."""

    def __init__(self, image: Image, report: Report) -> None:
        self._digests = {source.blob.digest[7:19]: source.blob for source in layer_sources(image)}
        self._report = report
        self._events: dict[str, StatusEvent] = {}

    async def __call__(self, line: Line) -> None:
        if not isinstance(line, Step) or line.id not in self._digests:
            return
        blob, now = self._digests[line.id], times.now()
        extracting = line.status in ("Extracting", "Pull complete")
        name = f"extracting {blob.digest}" if extracting else blob.digest
        event = self._events.get(name) or StatusEvent("", name, started=now)
        if not extracting:
            done = line.status == "Download complete"
            event = replace(event, current=blob.size if done else line.current, total=blob.size)
        finished = line.status in ("Download complete", "Pull complete")
        self._events[name] = event = replace(event, timestamp=now, completed=now if finished else 0)
        self._report(event)


def _key(work: Work) -> str:
    return f"image {work.digest}"


def _record(key: str, layers: Sequence[Layer], parents: list[str], found: FoundImage | None) -> CacheRecord:
    now = times.now()
    return CacheRecord(
        id=new_id(),
        key=key,
        layers=[layer.id for layer in layers],
        parents=parents,
        blobs=list(documents_of(found.image)) if found else [],
        created=now,
        used_at=now,
    )
