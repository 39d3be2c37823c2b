"""The catalogue: which images there are and what they are called. Memory is what is asked; the store is what survives.

A change is written before it is seen. Owns no bytes: blobs and layers are the garbage collection's business.
"""

import asyncio
from collections.abc import Iterable

import msgspec

from engine.core import times
from engine.core.ids import matching
from engine.core.model.image import Image, ImageName, StoredImage
from engine.core.references import Reference
from engine.domain.images import merge
from engine.state.store import Change, Delete, Put, Store

IMAGE_KIND = "image"
NAME_KIND = "image-name"


class Catalog:
    """Images by target digest, names by full reference."""

    def __init__(self, store: Store) -> None:
        """Read the records. Blocks; used at start-up only."""
        self._store = store
        self._images = store.load(IMAGE_KIND, StoredImage)
        loaded = store.load(NAME_KIND, ImageName)
        self._names = {n.name: n for n in loaded.values() if n.target in self._images}
        self._by_target: dict[str, list[str]] = {}
        for name in sorted(self._names.values(), key=lambda n: n.tagged_at):
            self._by_target.setdefault(name.target, []).append(name.name)
        self._writing = asyncio.Lock()

    def images(self) -> list[StoredImage]:
        """Return the images that users see."""
        return [i for i in self._images.values() if not i.deleted]

    def everything(self) -> list[StoredImage]:
        """Return all images, those deleted ones included whose layers are still held."""
        return list(self._images.values())

    def get(self, target: str) -> StoredImage | None:
        """Return an image that users see by its digest."""
        found = self._images.get(target)
        return None if found is None or found.deleted else found

    def get_any(self, target: str) -> StoredImage | None:
        """Return an image by its digest, even a deleted one."""
        return self._images.get(target)

    def by_prefix(self, hexadecimal: str) -> list[StoredImage]:
        """Return the images whose digest begins so, without `sha256:`."""
        digests = matching(f"sha256:{hexadecimal}", self._images)
        return [i for d in digests if (i := self.get(d)) is not None]

    def name(self, reference: Reference) -> ImageName | None:
        """Return the record of a name."""
        return self._names.get(str(reference))

    def names_of(self, target: str) -> list[ImageName]:
        """Return an image's names, the oldest first."""
        return [self._names[n] for n in self._by_target.get(target, ())]

    def names(self) -> list[ImageName]:
        """Return all names."""
        return list(self._names.values())

    def has_children(self, target: str) -> bool:
        """Tell whether an image that users see was made from this one."""
        return any(i.parent == target for i in self._images.values() if not i.deleted)

    def parents(self) -> set[str]:
        """Return the ids of all images that others were made from."""
        return {i.parent for i in self._images.values() if i.parent and not i.deleted}

    async def add(self, target: StoredImage, reference: Reference | None) -> bool:
        """Record an image, with a name where one is given; tell whether the name is new or has moved."""
        async with self._writing:
            arrived = msgspec.structs.replace(target, stored_at=times.now())
            merged = merge.together(self._images.get(target.target.digest), arrived)
            changes: list[Change] = [Put(IMAGE_KIND, merged.target.digest, merged)]
            name = _new_name(reference, merged.target.digest)
            moved = name is not None and self._target_of(name.name) != name.target
            if name is not None and moved:
                changes.append(Put(NAME_KIND, name.name, name))
            await self._store.commit(*changes)
            self._images[merged.target.digest] = merged
            if name is not None and moved:
                self._move(name)
            return moved

    async def tag(self, target: str, reference: Reference) -> None:
        """Give an image a name, which another image loses where it has it. Raises OSError."""
        async with self._writing:
            name = ImageName(name=str(reference), target=target, tagged_at=times.now())
            await self._store.commit(Put(NAME_KIND, name.name, name))
            self._move(name)

    async def untag(self, names: Iterable[str]) -> None:
        """Take names away. Raises OSError."""
        gone = [n for n in names if n in self._names]
        async with self._writing:
            await self._store.commit(*(Delete(NAME_KIND, n) for n in gone))
            for name in gone:
                self._drop_name(name)

    async def remove(self, target: str, *, held: bool) -> list[str]:
        """Delete an image and its names; a held one is only hidden. Return the names' texts. Raises OSError.

        From this call on, before anything is awaited, nobody finds the image any more.
        """
        image = self._images[target]
        hidden = self._images[target] = msgspec.structs.replace(image, deleted=True)
        async with self._writing:
            names = sorted(self._by_target.get(target, ()))
            changes: list[Change] = [Delete(NAME_KIND, n) for n in names]
            changes.append(Put(IMAGE_KIND, target, hidden) if held else Delete(IMAGE_KIND, target))
            try:
                await self._store.commit(*changes)
            except OSError:
                self._images[target] = image
                raise
            for name in names:
                self._drop_name(name)
            if not held:
                del self._images[target]
            return names

    async def add_source(self, target: str, repository: str) -> None:
        """Remember that a repository has the image's blobs. Raises OSError."""
        async with self._writing:
            image = self._images.get(target)
            if image is not None and repository not in image.sources:
                known = msgspec.structs.replace(image, sources=[*image.sources, repository])
                await self._store.commit(Put(IMAGE_KIND, target, known))
                self._images[target] = known

    async def drop_platform(self, target: str, manifest: str) -> None:
        """Forget what is here of one of an image's platforms. Raises OSError."""
        async with self._writing:
            image = self._images[target]
            left = msgspec.structs.replace(image, images=[i for i in image.images if i.manifest.digest != manifest])
            await self._store.commit(Put(IMAGE_KIND, target, left))
            self._images[target] = left

    def _target_of(self, name: str) -> str:
        found = self._names.get(name)
        return found.target if found else ""

    def _move(self, name: ImageName) -> None:
        self._drop_name(name.name)
        self._names[name.name] = name
        self._by_target.setdefault(name.target, []).append(name.name)

    def _drop_name(self, name: str) -> None:
        old = self._names.pop(name, None)
        if old is None:
            return
        siblings = self._by_target[old.target]
        siblings.remove(name)
        if not siblings:
            del self._by_target[old.target]


def _new_name(reference: Reference | None, target: str) -> ImageName | None:
    if reference is None:
        return None
    return ImageName(name=str(reference), target=target, tagged_at=times.now())


def image_of(stored: StoredImage, manifest: str) -> Image | None:
    """Return the platform's image with that manifest."""
    return next((i for i in stored.images if i.manifest.digest == manifest), None)
