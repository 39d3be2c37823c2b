"""Images into a layout of OCI on the client's disk, blob by blob; the client writes the layout's index."""

import contextlib

from engine.core.model.image import Image, Statements, StoredImage
from engine.domain.builder.exporters.assemble import Told
from engine.domain.builder.session import ClientStore
from engine.domain.images.save import blob_bytes
from engine.drivers.storage.content import ContentStore


async def send_image(
    store: ClientStore, content: ContentStore, stored: StoredImage, told: Told = contextlib.nullcontext
) -> None:
    """Send an image: what a document points at goes before it. Raises Internal, OSError."""
    for digest, what in _blobs(stored).items():
        with told(f"writing {what} {digest}"):
            await store.write(digest, content.size(digest), blob_bytes(content, digest))


def _blobs(stored: StoredImage) -> dict[str, str]:
    """Return what each blob is, in order."""
    parts: list[Image | Statements] = [*stored.images, *stored.statements]
    found = {layer.digest: "layer" for part in parts for layer in part.layers}
    found |= {part.config_descriptor.digest: "config" for part in parts}
    found |= {part.manifest.digest: "cache image manifest" for part in parts}
    return {**found, stored.target.digest: "cache image manifest"}
