"""Manifests and indexes: from a registry's or an archive's bytes to the model, with nothing taken on trust.

Pure. Sources: OCI image spec ("Image Manifest", "Image Index"), Docker's schema 2. A document that is both a manifest
and an index is refused (CVE-2021-41190).
"""

from typing import Any

import msgspec
from msgspec import Struct

from engine.core.model.image import Descriptor, Platform
from engine.core.references import is_digest
from engine.domain.images.failures import MalformedImage, SchemaOne, UnsupportedMediaType

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
PLUGIN_CONFIG = "application/vnd.docker.plugin.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
INDEXES = frozenset({DOCKER_LIST, OCI_INDEX})
MANIFESTS = frozenset({DOCKER_MANIFEST, OCI_MANIFEST})
ATTESTATION = "vnd.docker.reference.type"
_SCHEMA_ONE = "application/vnd.docker.distribution.manifest.v1+"
_MAX_LAYERS = 1000
_MAX_MANIFESTS = 5000
_LAYER_PREFIXES = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")


class _Platform(Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = msgspec.field(name="os.version", default="")
    os_features: list[str] | None = msgspec.field(name="os.features", default=None)


class _Descriptor(Struct, rename="camel"):
    media_type: str = ""
    digest: str = ""
    size: int = 0
    platform: _Platform | None = None
    annotations: dict[str, str] | None = None
    artifact_type: str = ""
    urls: list[str] | None = None


class _Document(Struct, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    config: _Descriptor | None = None
    layers: list[_Descriptor] | None = None
    manifests: list[_Descriptor] | None = None
    fs_layers: Any = None


class Manifest(Struct, frozen=True, kw_only=True):
    """One platform's image: its configuration and its layers, bottom first."""

    config: Descriptor
    layers: list[Descriptor]


class Index(Struct, frozen=True, kw_only=True):
    """Several platforms' manifests."""

    manifests: list[Descriptor]


def parse(data: bytes, media_type: str) -> Manifest | Index:
    """Return what a document says. Raises MalformedImage, SchemaOne, UnsupportedMediaType."""
    if media_type.startswith(_SCHEMA_ONE):
        raise SchemaOne(media_type)
    try:
        document = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedImage(f"invalid manifest: {error}") from error
    return _judge(document, media_type)


def _judge(document: _Document, media_type: str) -> Manifest | Index:
    if document.schema_version != 2:
        old = document.fs_layers is not None
        raise SchemaOne(f"{_SCHEMA_ONE}prettyjws") if old else MalformedImage("invalid manifest")
    kind = document.media_type or media_type
    if document.manifests is not None and (document.layers is not None or document.config is not None):
        raise MalformedImage("invalid manifest: both an index and a manifest")
    known = media_type in INDEXES | MANIFESTS
    if known and document.media_type and (document.media_type in INDEXES) != (media_type in INDEXES):
        raise MalformedImage(f"invalid manifest: media type {document.media_type} served as {media_type}")
    if kind in INDEXES or (document.manifests is not None and kind not in MANIFESTS):
        return _index(document)
    if kind in MANIFESTS or document.config is not None:
        return _manifest(document)
    raise UnsupportedMediaType(kind)


def _index(document: _Document) -> Index:
    manifests = document.manifests or []
    if len(manifests) > _MAX_MANIFESTS:
        raise MalformedImage(f"invalid index: {len(manifests)} manifests")
    return Index(manifests=[_descriptor(m) for m in manifests])


def _manifest(document: _Document) -> Manifest:
    layers = document.layers or []
    if document.config is None:
        raise MalformedImage("invalid manifest: no config")
    if len(layers) > _MAX_LAYERS:
        raise MalformedImage(f"invalid manifest: {len(layers)} layers")
    return Manifest(config=_descriptor(document.config), layers=[_descriptor(d) for d in layers])


def _descriptor(found: _Descriptor) -> Descriptor:
    if not is_digest(found.digest) or not found.digest.startswith("sha256:"):
        raise MalformedImage(f"invalid manifest: unusable digest {found.digest[:80]!r}")
    if not 0 <= found.size < 1 << 50:
        raise MalformedImage(f"invalid manifest: unusable size {found.size}")
    return Descriptor(
        media_type=found.media_type,
        digest=found.digest,
        size=found.size,
        platform=_platform(found.platform),
        annotations=found.annotations,
        artifact_type=found.artifact_type,
        urls=found.urls,
    )


def _platform(found: _Platform | None) -> Platform | None:
    if found is None:
        return None
    return Platform(
        os=found.os,
        architecture=found.architecture,
        variant=found.variant,
        os_version=found.os_version,
        os_features=found.os_features,
    )


def is_layer(descriptor: Descriptor) -> bool:
    """Tell whether a descriptor is that of a file system layer."""
    return descriptor.media_type.startswith(_LAYER_PREFIXES)


def is_attestation(descriptor: Descriptor) -> bool:
    """Tell whether an index entry is a statement about an image rather than one (BuildKit's attestations)."""
    return bool(descriptor.annotations and descriptor.annotations.get(ATTESTATION))


def compression_of(media_type: str) -> str:
    """Return how a layer is packed: `gzip`, `zstd`, or empty for a plain tar archive."""
    if media_type.endswith(("+gzip", ".gzip")):
        return "gzip"
    return "zstd" if media_type.endswith(("+zstd", ".zstd")) else ""


def descriptor_json(descriptor: Descriptor) -> dict[str, object]:
    """Return a descriptor as documents have it."""
    found: dict[str, object] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.platform is not None:
        found["platform"] = platform_json(descriptor.platform)
    if descriptor.annotations:
        found["annotations"] = descriptor.annotations
    if descriptor.artifact_type:
        found["artifactType"] = descriptor.artifact_type
    if descriptor.urls:
        found["urls"] = descriptor.urls
    return found


def platform_json(platform: Platform) -> dict[str, object]:
    """Return a platform as documents have it."""
    found: dict[str, object] = {"architecture": platform.architecture, "os": platform.os}
    if platform.os_version:
        found["os.version"] = platform.os_version
    if platform.os_features:
        found["os.features"] = platform.os_features
    if platform.variant:
        found["variant"] = platform.variant
    return found
