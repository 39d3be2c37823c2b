"""A new image's configuration and manifest, written as blobs: the last step of import and commit."""

import msgspec

from engine.core import digest as digests
from engine.core.model.image import Descriptor, Image
from engine.domain.images.config import write_config
from engine.domain.images.documents import OCI_CONFIG, OCI_MANIFEST, descriptor_json
from engine.domain.images.garbage import Lease
from engine.drivers.storage.content import ContentStore


async def write_image(content: ContentStore, lease: Lease, draft: Image) -> Image:
    """Store the configuration and the manifest; return the image with what points at them. Raises OSError."""
    config = write_config(draft)
    config_at = Descriptor(media_type=OCI_CONFIG, digest=digests.of(config), size=len(config))
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor_json(config_at),
        "layers": [descriptor_json(layer) for layer in draft.layers],
    }
    manifest = msgspec.json.encode(document)
    target = Descriptor(media_type=OCI_MANIFEST, digest=digests.of(manifest), size=len(manifest))
    for data, at in ((config, config_at), (manifest, target)):
        await lease.blob(at.digest)
        await content.put(data, at.digest)
    return msgspec.structs.replace(draft, id=target.digest, target=target, manifest=target, config_descriptor=config_at)
