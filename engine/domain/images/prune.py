"""`docker image prune`: delete unused images, those without names or (`dangling=false`) all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.core import filters as core_filters
from engine.core import references
from engine.core.filters import Filters
from engine.core.model.image import StoredImage
from engine.domain.images.announce import Announcer
from engine.domain.images.catalog import Catalog
from engine.domain.images.delete import Deleted
from engine.domain.images.garbage import Garbage, needs_of
from engine.domain.images.images import Images, preferred
from engine.domain.images.selection import until_of

KNOWN_FILTERS = ("dangling", "label", "label!", "until")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, and the bytes gained."""

    deleted: Sequence[Deleted]
    reclaimed: int


class Pruner:
    """Deletes unused images."""

    def __init__(self, catalog: Catalog, images: Images, garbage: Garbage, announcer: Announcer) -> None:
        self._catalog = catalog
        self._images = images
        self._garbage = garbage
        self._announcer = announcer

    async def prune(self, filters: Filters) -> Pruned:
        """Delete what matches. Raises InvalidFilter, InvalidUntil, OSError."""
        core_filters.require_known(filters, KNOWN_FILTERS)
        dangling = core_filters.boolean(filters, "dangling", True)
        until = until_of(filters)
        report: list[Deleted] = []
        reclaimed = 0
        for stored in self._catalog.images():
            if dangling and self._catalog.names_of(stored.target.digest):
                continue
            if self._images.holders(stored.target.digest) or not _matches(stored, filters, until):
                continue
            report += await self._remove(stored)
            reclaimed += await self._garbage.collect(needs_of(stored))
        self._announcer.pruned(reclaimed)
        return Pruned(report, reclaimed)

    async def _remove(self, stored: StoredImage) -> list[Deleted]:
        target = stored.target.digest
        names = [references.parse(n).familiar for n in await self._catalog.remove(target, held=False)] or [target]
        for name in names:
            self._announcer.about("untag", target, name)
        self._announcer.about("delete", target, names[-1])
        manifests = [i.manifest.digest for i in stored.images if i.manifest.digest != target]
        return [*(Deleted(untagged=name) for name in names), *(Deleted(deleted=d) for d in [target, *manifests])]


def _matches(stored: StoredImage, filters: Filters, until: int | None) -> bool:
    labels = preferred(stored).config.labels
    unwanted = filters.get("label!", ())
    return (
        core_filters.match_labels(filters.get("label", ()), labels)
        and not (unwanted and core_filters.match_labels(unwanted, labels))
        and (until is None or stored.stored_at < until)
    )
