"""`docker rmi`: take names away, and with the last one the image.

Who may delete what follows Moby with the containerd image store: a name goes as long as others remain; the last one, or
an id, needs that no container uses the image. Forced, a stopped container loses its image but keeps its layers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.core import references
from engine.core.ids import short
from engine.core.model.image import StoredImage
from engine.core.references import Reference
from engine.domain.images import lookup
from engine.domain.images.announce import Announcer
from engine.domain.images.catalog import Catalog
from engine.domain.images.failures import DeleteConflict, used_by
from engine.domain.images.garbage import Garbage, needs_of
from engine.domain.images.images import Images

IsRunning = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Deleted:
    """One line of a deletion's report: a name that was taken away, or an image that is gone."""

    untagged: str = ""
    deleted: str = ""


class Deleter:
    """Deletes images. `is_running` tells whether a container runs, by its id."""

    def __init__(
        self, catalog: Catalog, images: Images, garbage: Garbage, announcer: Announcer, is_running: IsRunning
    ) -> None:
        self._catalog = catalog
        self._images = images
        self._garbage = garbage
        self._announcer = announcer
        self._is_running = is_running

    async def delete(self, text: str, *, force: bool = False) -> list[Deleted]:
        """Delete a name or an image. Raises ImageNotFound, DeleteConflict, OSError."""
        stored = self._images.find(text)
        if lookup.is_id(stored, text):
            self._require_free(stored, text, force=force)
            return await self.remove(stored)
        reference = references.parse(text).with_default_tag()
        names = [n.name for n in self._catalog.names_of(stored.target.digest)]
        meant = [n for n in names if _is_meant(references.parse(n), reference)]
        if len(meant) < len(names):
            return await self._untag(stored, meant)
        users = self._images.holders(stored.target.digest)
        if users and not force:
            using = f"container {short(users[0])} is using its referenced image {short(stored.target.digest)}"
            raise DeleteConflict(reference.familiar, using)
        return await self._untag(stored, meant) if users else await self.remove(stored)

    def _require_free(self, stored: StoredImage, text: str, *, force: bool) -> None:
        users = self._images.holders(stored.target.digest)
        running = next((u for u in users if self._is_running(u)), None)
        if running is not None:
            raise DeleteConflict(text, used_by(running, "running"), forcible=False)
        if force:
            return
        if len(self._catalog.names_of(stored.target.digest)) > 1:
            raise DeleteConflict(text, "image is referenced in multiple repositories")
        if users:
            raise DeleteConflict(text, used_by(users[0], "stopped"))

    async def _untag(self, stored: StoredImage, names: Sequence[str]) -> list[Deleted]:
        await self._catalog.untag(names)
        familiar = [references.parse(n).familiar for n in names]
        for name in familiar:
            self._announcer.about("untag", stored.target.digest, name)
        return [Deleted(untagged=name) for name in familiar]

    async def remove(self, stored: StoredImage) -> list[Deleted]:
        """Delete an image with all its names, whoever uses it."""
        target = stored.target.digest
        names = await self._catalog.remove(target, held=bool(self._images.holders(target)))
        familiar = [references.parse(n).familiar for n in names]
        for name in familiar:
            self._announcer.about("untag", target, name)
        self._announcer.about("delete", target)
        await self._garbage.collect(needs_of(stored))
        return [*(Deleted(untagged=name) for name in familiar), Deleted(deleted=target)]


def _is_meant(name: Reference, wanted: Reference) -> bool:
    """A name by digest means all names of that repository."""
    return name.name == wanted.name if wanted.digest else str(name) == str(wanted)
