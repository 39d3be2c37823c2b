"""`docker rmi`: take names away, and with the last one the image and the parents that it alone had.

Who may delete what follows Moby with the containerd image store: a name goes as long as others remain; the last one, or
an id, needs that no container uses the image. Forced, a stopped container loses its image but keeps its layers. An
image that others were made from loses its last name only, unless it is forced or meant by its id.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.core import references
from engine.core.ids import short
from engine.core.model.image import Platform, StoredImage
from engine.core.references import Reference
from engine.domain.images import lookup
from engine.domain.images.announce import Announcer
from engine.domain.images.catalog import Catalog
from engine.domain.images.failures import (
    BlankName,
    DeleteConflict,
    PlatformNeedsForce,
    PlatformNotDeleted,
    used_by,
)
from engine.domain.images.garbage import Garbage, Needs, needs_of
from engine.domain.images.images import Images, of_platform

IsRunning = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """`prune`: nameless parents go, too. `platforms`: only these go, and the image stays."""

    force: bool = False
    prune: bool = True
    platforms: Sequence[Platform] = ()


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

    async def delete(self, text: str, options: DeleteOptions = DeleteOptions()) -> list[Deleted]:
        """Delete a name, an image, or some platforms of it. Raises ImageNotFound, DeleteConflict, OSError, …"""
        if not text:
            raise BlankName
        stored = self._images.find(text)
        if options.platforms:
            return await self._delete_platforms(stored, text, options)
        if lookup.is_id(stored, text):
            self._require_free(stored, force=options.force, by_one_name=False)
            return await self._remove_with_parents(stored, options)
        return await self._delete_name(stored, references.parse(text).with_default_tag(), options)

    async def _delete_name(self, stored: StoredImage, name: Reference, options: DeleteOptions) -> list[Deleted]:
        names = [n.name for n in self._catalog.names_of(stored.target.digest)]
        meant = [n for n in names if _is_meant(references.parse(n), name)]
        if len(meant) < len(names):
            return await self._untag(stored, meant)
        if name.digest:
            self._require_free(stored, force=options.force, by_one_name=True)
            return await self._remove_with_parents(stored, options)
        users = self._images.holders(stored.target.digest)
        if users and not options.force:
            using = f"container {short(users[0])} is using its referenced image {short(stored.target.digest)}"
            raise DeleteConflict(name.familiar, using)
        if users:
            return await self._untag(stored, meant)
        if self._catalog.has_children(stored.target.digest) and not options.force:
            return await self._hide(stored, meant)
        return await self._remove_with_parents(stored, options)

    def _require_free(self, stored: StoredImage, *, force: bool, by_one_name: bool) -> None:
        """Raise DeleteConflict for an image in use. `by_one_name`: all its names are meant by one."""
        meant = short(stored.target.digest)
        users = self._images.holders(stored.target.digest)
        running = next((u for u in users if self._is_running(u)), None)
        if running is not None:
            raise DeleteConflict(meant, used_by(running, "running"), forcible=False)
        if force:
            return
        if users:
            raise DeleteConflict(meant, used_by(users[0], "stopped"))
        if len(self._catalog.names_of(stored.target.digest)) > 1 and not by_one_name:
            raise DeleteConflict(meant, "image is referenced in multiple repositories")

    async def _untag(self, stored: StoredImage, names: Sequence[str]) -> list[Deleted]:
        await self._catalog.untag(names)
        familiar = [references.parse(n).familiar for n in names]
        for name in familiar:
            self._announcer.about("untag", stored.target.digest, name)
        return [Deleted(untagged=name) for name in familiar]

    async def _hide(self, stored: StoredImage, names: Sequence[str]) -> list[Deleted]:
        """Take the last names from an image with children: dockerd calls it deleted, and lists show it no more."""
        report = await self._untag(stored, names)
        self._announcer.about("delete", stored.target.digest)
        return [*report, Deleted(deleted=stored.target.digest)]

    async def _remove_with_parents(self, stored: StoredImage, options: DeleteOptions) -> list[Deleted]:
        report = await self.remove(stored)
        parent = self._spare_parent(stored) if options.prune else None
        while parent is not None:
            report += await self.remove(parent)
            parent = self._spare_parent(parent)
        return report

    def _spare_parent(self, stored: StoredImage) -> StoredImage | None:
        """Return the image that a deleted one was made from, where nothing else needs it."""
        parent = self._catalog.get(stored.parent)
        if parent is None or self._catalog.names_of(stored.parent) or self._images.holders(stored.parent):
            return None
        return None if self._catalog.has_children(stored.parent) else parent

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

    async def _delete_platforms(self, stored: StoredImage, text: str, options: DeleteOptions) -> list[Deleted]:
        """Delete what is here for some platforms; what goes is what no other image needs, unlike with dockerd."""
        if not options.force:
            raise PlatformNeedsForce
        report = []
        for platform in options.platforms:
            current = self._images.find(stored.target.digest)
            image = of_platform(current, platform)
            if image is None:
                raise PlatformNotDeleted(platform, stored.target.digest, text)
            await self._catalog.drop_platform(stored.target.digest, image.manifest.digest)
            needs = Needs()
            needs.add_image(image)
            await self._garbage.collect(needs)
            report.append(Deleted(deleted=image.manifest.digest))
        return report


def _is_meant(name: Reference, wanted: Reference) -> bool:
    """A name by digest means all names of that repository."""
    return name.name == wanted.name if wanted.digest else str(name) == str(wanted)
