"""Which image a client means: a name, a name with a digest, an id or the beginning of one (Moby's `resolveImage`)."""

import re

from engine.core import references
from engine.core.model.image import StoredImage
from engine.core.references import Reference
from engine.domain.images.catalog import Catalog
from engine.domain.images.failures import AmbiguousReference, ImageNotFound

_SHORT = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})")
_WHOLE = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def find(catalog: Catalog, text: str) -> StoredImage:
    """Return the image. Raises ImageNotFound, AmbiguousReference, InvalidReference."""
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        found = catalog.get(f"sha256:{whole[1]}")
        if found is None:
            raise ImageNotFound(f"sha256:{whole[1]}")
        return found
    reference = _named(text)
    if reference is not None:
        found = _by_name(catalog, reference)
        if found is not None:
            return found
    return _by_short_id(catalog, text, reference)


def _named(text: str) -> Reference | None:
    """Return the reference; None for the beginning of an id, which is a reference by its form, too, but means less."""
    if text.startswith("sha256:"):
        return None
    return references.parse(text).with_default_tag()


def _by_name(catalog: Catalog, reference: Reference) -> StoredImage | None:
    if reference.digest:
        image = catalog.get(reference.digest)
        names = catalog.names_of(reference.digest)
        ours = image is not None and any(references.parse(n.name).name == reference.name for n in names)
        return image if ours else None
    name = catalog.name(reference)
    return catalog.get(name.target) if name else None


def _by_short_id(catalog: Catalog, text: str, reference: Reference | None) -> StoredImage:
    short = _SHORT.fullmatch(text)
    found = catalog.by_prefix(short[1]) if short else []
    if len(found) > 1:
        raise AmbiguousReference
    if not found:
        raise ImageNotFound(reference.familiar if reference else text)
    return found[0]


def is_id(stored: StoredImage, text: str) -> bool:
    """Tell whether `text` names an image by its id rather than by a name."""
    short = _SHORT.fullmatch(text)
    return short is not None and stored.target.digest.startswith(f"sha256:{short[1]}")
