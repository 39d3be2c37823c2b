"""What an image archive holds: an OCI layout (`docker save` since 25) or the older form with a `manifest.json`.

Pure: from the small documents of an archive to the list of images in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.core import references
from engine.core.errors import WharfError
from engine.core.model.image import Descriptor
from engine.core.references import Reference
from engine.domain.images import documents
from engine.domain.images.documents import DOCKER_MANIFEST, OCI_INDEX, Index
from engine.domain.images.failures import MalformedImage, UnrecognizedArchive

IMAGE_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_MAX_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """An image in an archive and the name it had; `names` may be empty."""

    target: Descriptor
    names: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file of an archive that is in the content store now. `compression` is that of its bytes."""

    digest: str
    size: int
    compression: str = ""


@dataclass(frozen=True, slots=True)
class OldImage:
    """An entry of a `manifest.json`: file names."""

    config: str
    layers: tuple[str, ...]
    names: tuple[Reference, ...]


def layout_images(index: bytes) -> list[ArchivedImage]:
    """Return the images of an OCI layout's `index.json`. Raises MalformedImage."""
    found = documents.parse(index, OCI_INDEX)
    if not isinstance(found, Index) or len(found.manifests) > _MAX_IMAGES:
        raise MalformedImage("invalid index.json")
    grouped: dict[str, tuple[Descriptor, list[Reference]]] = {}
    for descriptor in found.manifests:
        if documents.is_attestation(descriptor):
            continue
        _, names = grouped.setdefault(descriptor.digest, (_bare(descriptor), []))
        name = _annotated(descriptor.annotations or {})
        if name is not None:
            names.append(name)
    return [ArchivedImage(target, tuple(names)) for target, names in grouped.values()]


def _bare(descriptor: Descriptor) -> Descriptor:
    """As dockerd: the annotations of the archive's index are the image's from then on, the platform is not."""
    return Descriptor(
        media_type=descriptor.media_type,
        digest=descriptor.digest,
        size=descriptor.size,
        annotations=descriptor.annotations,
    )


def _annotated(annotations: Mapping[str, str]) -> Reference | None:
    """Return the name by Docker's annotation, or by the specification's, which may be a tag only (skopeo, podman)."""
    full, other = annotations.get(IMAGE_NAME, ""), annotations.get(REF_NAME, "")
    if full:
        return _name(full)
    return _name(other) if (":" in other or "/" in other) and "@" not in other else None


def _name(text: str) -> Reference | None:
    """Return a name, None for one that is missing or does not follow the grammar."""
    try:
        return references.parse(text).with_default_tag() if text else None
    except WharfError:
        return None


def old_images(manifest: bytes) -> list[OldImage]:
    """Return the entries of a `manifest.json`. Raises UnrecognizedArchive."""
    try:
        entries = msgspec.json.decode(manifest, type=list[dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnrecognizedArchive from error
    return [_old_image(e) for e in entries[:_MAX_IMAGES]]


def _old_image(entry: Mapping[str, Any]) -> OldImage:
    config, layers, tags = entry.get("Config"), entry.get("Layers") or [], entry.get("RepoTags") or []
    if not isinstance(config, str) or not isinstance(layers, list) or not isinstance(tags, list):
        raise UnrecognizedArchive
    if not all(isinstance(text, str) for text in (*layers, *tags)):
        raise UnrecognizedArchive
    return OldImage(config, tuple(layers), tuple(n for t in tags if (n := _name(t)) is not None))


def converted(image: OldImage, files: Mapping[str, ArchivedFile]) -> bytes:
    """Return the manifest that an entry of a `manifest.json` amounts to, as containerd writes it.

    Raises MalformedImage where a file is missing.
    """
    layers = [_file(files, name) for name in image.layers]
    config = _file(files, image.config)
    return msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": {"mediaType": DOCKER_CONFIG, "digest": config.digest, "size": config.size},
            "layers": [{"mediaType": _layer_type(file), "digest": file.digest, "size": file.size} for file in layers],
        }
    )


def _layer_type(file: ArchivedFile) -> str:
    return f"{DOCKER_LAYER}.{file.compression}" if file.compression else DOCKER_LAYER


def _file(files: Mapping[str, ArchivedFile], name: str) -> ArchivedFile:
    try:
        return files[name]
    except KeyError as error:
        raise MalformedImage(f"invalid archive: {name} is missing") from error
