"""`docker tag`: one more name for an image."""

import re

from engine.core import references
from engine.core.references import Reference
from engine.domain.images.announce import Announcer
from engine.domain.images.catalog import Catalog
from engine.domain.images.failures import DigestAsName, InvalidTag
from engine.domain.images.images import Images, choose, preferred

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class Tagger:
    """Names images."""

    def __init__(self, catalog: Catalog, images: Images, announcer: Announcer) -> None:
        self._catalog = catalog
        self._images = images
        self._announcer = announcer

    async def tag(self, source: str, name: Reference) -> None:
        """Name an image; another image that has the name loses it. Raises ImageNotFound, OSError, …"""
        stored = self._images.find(source)
        choose(stored, source, None)
        await self._catalog.tag(stored.target.digest, name)
        self._announcer.about("tag", stored.target.digest, name.familiar, preferred(stored))


def new_name(repository: str, tag: str) -> Reference | None:
    """Return the name that `repo` and `tag` of a request make, None where there is none.

    Raises InvalidReference, InvalidTag, DigestAsName.
    """
    if not repository:
        return None
    reference = references.parse(repository)
    if reference.digest:
        raise DigestAsName
    if tag:
        if not _TAG.fullmatch(tag):
            raise InvalidTag
        reference = Reference(reference.domain, reference.path, tag)
    return reference.with_default_tag()
