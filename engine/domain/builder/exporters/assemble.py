"""Documents of images: of what a build came to, configurations, manifests and, where there are several, an index."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from engine.core import digest as digests
from engine.core import times
from engine.core.model.image import Descriptor, Image, Platform, Statements, StoredImage
from engine.core.references import Reference
from engine.domain.builder.exporters.image_config import ExportedLayer, empty_config, patched, read_config
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import Edge
from engine.domain.builder.progress import StatusEvent
from engine.domain.builder.provenance import image_subjects, statement
from engine.domain.builder.result import Attestation, FrontendResult
from engine.domain.builder.snapshot import NamedLayer, Snapshot, Snapshots
from engine.domain.builder.solver.solver import Solver
from engine.domain.builder.sources.imported_cache import FIELD as STEPS
from engine.domain.images import documents
from engine.domain.images.config import read_image
from engine.domain.images.documents import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    descriptor_json,
)
from engine.domain.images.platforms import host, normalize, parse_platform
from engine.drivers.storage.content import ContentStore

_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CONFIG = "containerimage.config"
_SECOND = 10**9
_IN_TOTO = "application/vnd.in-toto+json"

Told = Callable[[str], AbstractContextManager[Any]]
"""Tells of the beginning and the end of something."""


@dataclass(frozen=True, slots=True)
class AssembleOptions:
    """How documents are written. `annotations` by kind (`manifest`, `index`, …); `epoch` in ns, None: as it is;
    with `rewrite` it is the latest time of files as well.

    `attestations` are by platform, as the result's trees are; `names` are those of the image that they are about.
    """

    oci: bool = True
    annotations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    epoch: int | None = None
    rewrite: bool = False
    attestations: Mapping[str, Sequence[Attestation]] = field(default_factory=dict)
    names: Sequence[Reference] = ()


@dataclass(frozen=True, slots=True)
class PlatformResult:
    """One platform's part of a result."""

    name: str
    platform: Platform
    edge: Edge | None
    config: bytes


class Teller:
    """Tells of parts of an export."""

    def __init__(self, job: Job, vertex: str) -> None:
        self._job = job
        self._vertex = vertex

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Tell of the beginning and the end of something."""
        event = StatusEvent(self._vertex, what, started=times.now())
        self._job.progress.send(event)
        yield
        now = times.now()
        self._job.progress.send(replace(event, timestamp=now, completed=now))


class Assembler:
    """Writes documents into the content store, where the job keeps them."""

    def __init__(self, solver: Solver, snapshots: Snapshots, content: ContentStore) -> None:
        self._solver = solver
        self._snapshots = snapshots
        self._content = content

    async def assemble(self, result: FrontendResult, options: AssembleOptions, job: Job, teller: Teller) -> StoredImage:
        """Return what the result is as an image. Raises VertexFailed, WharfError, OSError."""
        parts = platform_results(result)
        trees = [Snapshot() if part.edge is None else await self._solver.solve(part.edge, job) for part in parts]
        with teller.told("exporting layers"):
            named = [await self._named(tree, options, job) for tree in trees]
        if job.inline_cache:
            parts = [with_steps(part, self._snapshots.steps_of(tree)) for part, tree in zip(parts, trees, strict=True)]
        writer = _Writer(self._content, options, job, teller.told)
        images = [
            await writer.image(part, tree, layers) for part, tree, layers in zip(parts, trees, named, strict=True)
        ]
        if (
            not options.attestations
            and len(images) == 1
            and result.metadata.get("refs.platforms", b"").count(b'"ID"') < 2
        ):
            return StoredImage(target=images[0].target, manifests=[images[0].target], images=images)
        said = [await writer.statements(part, image) for part, image in zip(parts, images, strict=True)]
        return await writer.index(images, [statements for statements in said if statements is not None])

    async def _named(self, tree: Snapshot, options: AssembleOptions, job: Job) -> list[NamedLayer]:
        if not options.rewrite or options.epoch is None:
            return await self._snapshots.named(tree)
        named = await self._snapshots.rewritten(tree, options.epoch // _SECOND)
        job.needs.blobs |= {layer.blob.digest for layer in named}
        job.needs.chains |= {layer.chain for layer in named}
        return named

    @property
    def snapshots(self) -> Snapshots:
        """The trees."""
        return self._snapshots

    @property
    def content(self) -> ContentStore:
        """Where the documents are, and the layers' archives."""
        return self._content

    async def cache(self, trees: Sequence[Snapshot], job: Job) -> StoredImage:
        """Return trees as images that tell which steps made their layers: one, or an index of several."""
        writer = _Writer(self._content, AssembleOptions(), job)
        images = []
        for tree in trees:
            part = with_steps(PlatformResult("", host(), None, b""), self._snapshots.steps_of(tree))
            images.append(await writer.image(part, tree, await self._snapshots.named(tree)))
        if len(images) == 1:
            return StoredImage(target=images[0].target, manifests=[images[0].target], images=images)
        return await writer.index(images)


class _Writer:
    """Writes one image's documents."""

    def __init__(self, content: ContentStore, options: AssembleOptions, job: Job, told: Told = nullcontext) -> None:
        self._content = content
        self._options = options
        self._job = job
        self._told = told

    async def image(self, part: PlatformResult, tree: Snapshot, layers: Sequence[NamedLayer]) -> Image:
        """Write a configuration and a manifest."""
        made = [ExportedLayer(layer.diff_id, tree.layers[index].record.created) for index, layer in enumerate(layers)]
        config = patched(part.config or empty_config(part.platform), made, self._options.epoch)
        oci = self._options.oci
        config_at = _described(config, OCI_CONFIG if oci else _DOCKER_CONFIG)
        blobs = [_layer(layer.blob, oci=oci) for layer in layers]
        annotations = self._annotations("manifest", part.name)
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST if oci else DOCKER_MANIFEST,
            "config": descriptor_json(config_at),
            "layers": [descriptor_json(blob) for blob in blobs],
        }
        if annotations:
            manifest["annotations"] = annotations
        data = msgspec.json.encode(manifest)
        target = _described(data, manifest["mediaType"])
        await self._put("manifest", data, target)
        await self._put("config", config, config_at)
        described = msgspec.structs.replace(
            target, platform=part.platform, annotations=self._annotations("manifest-descriptor", part.name) or None
        )
        parsed = documents.parse(data, target.media_type)
        assert isinstance(parsed, documents.Manifest)
        return read_image(target, described, parsed, config)

    async def statements(self, part: PlatformResult, image: Image) -> Statements | None:
        """Write what is to be said of an image, as BuildKit does: a manifest with documents in the place of layers."""
        attestations = self._options.attestations.get(part.name, self._options.attestations.get("", ()))
        if not attestations:
            return None
        layers = []
        for each in attestations:
            said = statement(each, image_subjects(self._options.names, image.manifest.digest, part.platform))
            data = msgspec.json.encode(said)
            at = msgspec.structs.replace(
                _described(data, _IN_TOTO), annotations={"in-toto.io/predicate-type": each.predicate_type}
            )
            await self._keep(data, at)
            layers.append(at)
        nowhere = {"architecture": "unknown", "os": "unknown"}
        diff_ids = [layer.digest for layer in layers]
        config = msgspec.json.encode({**nowhere, "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        config_at = _described(config, OCI_CONFIG)
        await self._keep(config, config_at)
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor_json(config_at),
            "layers": [descriptor_json(layer) for layer in layers],
        }
        manifest = msgspec.json.encode(document)
        about = {
            "vnd.docker.reference.digest": image.manifest.digest,
            "vnd.docker.reference.type": "attestation-manifest",
        }
        at = msgspec.structs.replace(
            _described(manifest, OCI_MANIFEST),
            platform=Platform(os="unknown", architecture="unknown"),
            annotations=about,
        )
        await self._put("attestation manifest", manifest, at)
        return Statements(manifest=at, config_descriptor=config_at, layers=layers)

    async def index(self, images: Sequence[Image], statements: Sequence[Statements] = ()) -> StoredImage:
        """Write an index of the platforms' manifests and of what is said of them."""
        annotations = self._annotations("index", "")
        media_type = OCI_INDEX if self._options.oci else DOCKER_LIST
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
        manifests = [image.manifest for image in images] + [each.manifest for each in statements]
        document["manifests"] = [descriptor_json(manifest) for manifest in manifests]
        if annotations:
            document["annotations"] = annotations
        data = msgspec.json.encode(document)
        target = _described(data, document["mediaType"])
        await self._put("manifest list", data, target)
        whole = [msgspec.structs.replace(image, id=target.digest, target=target) for image in images]
        return StoredImage(target=target, manifests=manifests, images=whole, statements=list(statements))

    def _annotations(self, kind: str, platform: str) -> dict[str, str]:
        found = self._options.annotations
        return {**found.get(kind, {}), **(found.get(f"{kind}[{platform}]", {}) if platform else {})}

    async def _put(self, what: str, data: bytes, at: Descriptor) -> None:
        with self._told(f"exporting {what} {at.digest}"):
            await self._keep(data, at)

    async def _keep(self, data: bytes, at: Descriptor) -> None:
        self._job.needs.blobs.add(at.digest)
        await self._content.put(data, at.digest)


def _described(data: bytes, media_type: str) -> Descriptor:
    return Descriptor(media_type=media_type, digest=digests.of(data), size=len(data))


def _layer(blob: Descriptor, *, oci: bool) -> Descriptor:
    compression = documents.compression_of(blob.media_type)
    if oci:
        media_type = f"{OCI_LAYER}+{compression}" if compression else OCI_LAYER
    else:
        media_type = _DOCKER_LAYER if compression == "gzip" else blob.media_type
    return Descriptor(media_type=media_type, digest=blob.digest, size=blob.size)


def with_steps(part: PlatformResult, steps: Sequence[tuple[str, int]]) -> PlatformResult:
    """Let the configuration tell which steps made the layers (`--cache-to type=inline`). Raises ConfigMalformed."""
    found = read_config(part.config or empty_config(part.platform))
    found[STEPS] = [{"key": key, "layers": count} for key, count in sorted(steps)]
    return replace(part, config=msgspec.json.encode(found))


def platform_results(result: FrontendResult) -> list[PlatformResult]:
    """Return the parts of a result, in the frontend's order."""
    ids = _platform_ids(result)
    found = []
    for name in ids or list(result.refs):
        platform = normalize(parse_platform(name)) if name else host()
        config = result.metadata.get(f"{_CONFIG}/{name}" if name else _CONFIG, b"")
        edge = result.refs.get(name, result.refs.get("") if len(ids) == 1 else None)
        if not config and len(ids) == 1:
            config = result.metadata.get(_CONFIG, b"")
        found.append(PlatformResult(name, _platform_of(config, platform), edge, config))
    return found


def _platform_ids(result: FrontendResult) -> list[str]:
    raw = result.metadata.get("refs.platforms")
    if not raw:
        return []
    document = msgspec.json.decode(raw, type=dict[str, Any])
    return [str(entry["ID"]) for entry in document.get("Platforms") or ()]


def _platform_of(config: bytes, default: Platform) -> Platform:
    """Return what the configuration says it is for."""
    try:
        found = msgspec.json.decode(config, type=dict[str, Any]) if config else {}
    except msgspec.DecodeError:
        return default
    if not found.get("architecture"):
        return default
    return Platform(
        os=str(found.get("os", "linux")),
        architecture=str(found["architecture"]),
        variant=str(found.get("variant") or ""),
        os_version=str(found.get("os.version") or ""),
    )
