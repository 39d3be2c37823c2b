"""The exporters `oci` and `docker`: a build's result as an image's archive, or its layout, on the client's disk."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from engine.core import times
from engine.core.model.image import Platform, StoredImage
from engine.core.references import Reference
from engine.domain.builder.builds import ExportTarget
from engine.domain.builder.exporters.assemble import Assembler, Teller
from engine.domain.builder.exporters.client_layout import send_image
from engine.domain.builder.exporters.files import told
from engine.domain.builder.exporters.image import assemble_options, described, flag, image_names
from engine.domain.builder.job import Job
from engine.domain.builder.result import FrontendResult
from engine.domain.builder.session import Outgoing
from engine.domain.builder.sources.resolve import vertex
from engine.domain.images.archive import IMAGE_NAME, REF_NAME
from engine.domain.images.documents import OCI_INDEX, descriptor_json
from engine.domain.images.garbage import Needs
from engine.domain.images.images import preferred
from engine.domain.images.save import LAYOUT, blob_path, packed
from engine.drivers.storage.content import ContentStore

_STORE = "export"
_CREATED = "org.opencontainers.image.created"


class ArchiveExporter:
    """Sends archives of images: an OCI layout, with a `manifest.json` where `docker` is to read it.

    With `tar=false` blobs go one by one to a directory, whose index the client writes.
    """

    def __init__(self, assembler: Assembler, content: ContentStore, *, docker: bool) -> None:
        self._assembler = assembler
        self._content = content
        self._docker = docker

    async def export(self, result: FrontendResult, target: ExportTarget, job: Job) -> Mapping[str, str]:
        """Send the image. Raises VertexFailed, WharfError, OSError."""
        names = image_names(target.attrs)
        # `docker load` reads archives of one image.
        given = replace(result, attestations={}) if self._docker else result
        options = assemble_options({"oci-mediatypes": str(not self._docker).lower(), **target.attrs}, given)
        kind = "docker" if self._docker else "oci"
        async with vertex(f"exporting to {kind} image format", job) as digest:
            stored = dated(await self._assembler.assemble(result, options, job, Teller(job, digest)), options.epoch)
            if flag(target.attrs, "tar", default=True):
                async with told(job, digest, "sending tarball", counted=False) as sent:
                    await job.session.send_file(Outgoing(target.number, sent), self._archive(stored, names))
            else:
                await send_image(await job.session.store(_STORE), self._content, stored)
        return described(stored, names)

    def _archive(self, stored: StoredImage, names: Sequence[Reference]) -> AsyncIterator[bytes]:
        needs = Needs()
        needs.add_stored(stored)
        documents = [("index.json", msgspec.json.encode(_index(stored, names)), 0o644)]
        if self._docker and stored.images:
            documents.append(("manifest.json", msgspec.json.encode([_old_entry(stored, names)]), 0o644))
        documents.append(("oci-layout", LAYOUT, 0o444))
        return packed(self._content, sorted(needs.blobs), documents)


def dated(stored: StoredImage, epoch: int | None) -> StoredImage:
    """Say of an image when it was made, now or at `epoch` (ns), and of a manifest which platform it is for."""
    now = (epoch if epoch is not None else times.now()) // 10**9 * 10**9
    target = msgspec.structs.replace(stored.target, annotations={_CREATED: times.rfc3339(now)})
    if len(stored.manifests) == 1 and stored.images:
        found = stored.images[0].platform
        target = msgspec.structs.replace(target, platform=Platform(os=found.os, architecture=found.architecture))
    return msgspec.structs.replace(stored, target=target)


def _index(stored: StoredImage, names: Sequence[Reference]) -> dict[str, object]:
    entry = descriptor_json(stored.target)
    made = stored.target.annotations or {}
    manifests = [{**entry, "annotations": {**made, **each}} for each in [_named(name) for name in names] or [{}]]
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}


def _named(name: Reference) -> dict[str, str]:
    return {IMAGE_NAME: str(name), REF_NAME: name.tag}


def _old_entry(stored: StoredImage, names: Sequence[Reference]) -> dict[str, object]:
    image = preferred(stored)
    return {
        "Config": blob_path(image.config_descriptor.digest),
        "RepoTags": [name.familiar for name in names] or None,
        "Layers": [blob_path(layer.digest) for layer in image.layers],
    }
