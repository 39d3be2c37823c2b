"""One target pulled for one platform after another: what the store has of it grows. Pure."""

import msgspec

from engine.core.model.image import StoredImage


def together(known: StoredImage | None, fresh: StoredImage) -> StoredImage:
    """Return the image with the platforms of both, in the index's order; it is not deleted any more."""
    if known is None or known.deleted:
        return fresh
    found = {i.manifest.digest: i for i in [*known.images, *fresh.images]}
    order = [m.digest for m in fresh.manifests]
    images = sorted(found.values(), key=lambda i: order.index(i.manifest.digest) if i.manifest.digest in order else -1)
    sources = list(dict.fromkeys([*known.sources, *fresh.sources]))
    return msgspec.structs.replace(
        known,
        images=images,
        parent=known.parent or fresh.parent,
        sources=sources,
        statements=known.statements or fresh.statements,
    )
