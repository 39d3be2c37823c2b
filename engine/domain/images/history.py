"""`docker history`: the steps of an image's making with the sizes of the layers that they made."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.core.digest import chain_ids
from engine.core.model.image import HistoryEntry, Image
from engine.domain.images.catalog import Catalog
from engine.domain.images.images import Images
from engine.domain.images.selection import shown_names
from engine.domain.images.sizes import Sizer

MISSING = "<missing>"


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """A step, the newest first; `size` in bytes. Only the newest has an id and tags."""

    entry: HistoryEntry
    size: int
    id: str = MISSING
    tags: Sequence[str] | None = None


class History:
    """Tells images' histories."""

    def __init__(self, catalog: Catalog, images: Images, sizer: Sizer) -> None:
        self._catalog = catalog
        self._images = images
        self._sizer = sizer

    def of(self, reference: str, platform: str = "") -> list[HistoryStep]:
        """Return the steps, the newest first. Raises ImageNotFound, PlatformNotProvided."""
        image = self._images.resolve(reference, platform)
        steps = [HistoryStep(entry, size) for entry, size in self._sized(image)][::-1]
        tags, _ = shown_names(self._catalog.names_of(image.id), image.id)
        if steps:
            steps[0] = HistoryStep(steps[0].entry, steps[0].size, image.id, tags)
        return steps

    def _sized(self, image: Image) -> list[tuple[HistoryEntry, int]]:
        """Give each step that made a layer that layer's size, as far as there are layers."""
        sizes = iter([self._sizer.layer(c) for c in chain_ids(image.diff_ids)])
        return [(entry, 0 if entry.empty_layer else next(sizes, 0)) for entry in image.history]
