"""What may go: blobs and layers that no image and no work under way needs. The only place where they are deleted.

Work that brings something in takes a lease first, on the digest of each blob and the chain ID of each layer that it
relies on; what is leased stays.
"""

import asyncio
import errno
import logging
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

from engine.core.digest import chain_ids
from engine.core.errors import InvalidParameter, NotFound, NotImplementedHere
from engine.core.model.image import Image, StoredImage
from engine.domain.images.catalog import Catalog
from engine.domain.images.failures import LayerMismatch, MalformedImage
from engine.drivers.storage.content import ContentStore
from engine.drivers.storage.ingest import DigestMismatch, SizeMismatch
from engine.drivers.storage.layers import LayerStore

log = logging.getLogger(__name__)
KEEP_SECONDS = 3600.0
"""How long what a broken pull has fetched is kept for the next attempt."""


@dataclass(slots=True)
class Needs:
    """Blobs by digest and layers by chain ID; the first layer's chain ID can equal a blob's digest."""

    blobs: set[str] = field(default_factory=set)
    chains: set[str] = field(default_factory=set)

    def add_image(self, image: Image) -> None:
        """Add a platform's image."""
        self.blobs |= {image.manifest.digest, image.config_descriptor.digest, *(d.digest for d in image.layers)}
        self.chains.update(chain_ids(image.diff_ids))

    def add_stored(self, stored: StoredImage) -> None:
        """Add a whole image; a deleted one only needs its layers."""
        if stored.deleted:
            for image in stored.images:
                self.chains.update(chain_ids(image.diff_ids))
            return
        self.blobs.add(stored.target.digest)
        for image in stored.images:
            self.add_image(image)
        self.add_statements(stored)

    def add_statements(self, stored: StoredImage) -> None:
        """Add what is said of an image."""
        for said in stored.statements:
            self.blobs |= {said.manifest.digest, said.config_descriptor.digest, *(d.digest for d in said.layers)}


class Lease:
    """What a piece of work relies on, until its `with` ends."""

    def __init__(self, garbage: "Garbage", *, resumable: bool) -> None:
        self._garbage = garbage
        self._resumable = resumable
        self.needs = Needs()

    async def blob(self, digest: str) -> None:
        """Rely on a blob, whether it is here yet or not."""
        if digest not in self.needs.blobs:
            self.needs.blobs.add(digest)
            self._garbage.leased_blobs[digest] += 1
        await self._garbage.settled()

    async def chain(self, chain: str) -> None:
        """Rely on a layer."""
        if chain not in self.needs.chains:
            self.needs.chains.add(chain)
            self._garbage.leased_chains[chain] += 1
        await self._garbage.settled()

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._garbage.leased_blobs -= Counter(self.needs.blobs)
        self._garbage.leased_chains -= Counter(self.needs.chains)
        if error is None:
            self._garbage.take_up(self.needs)
            return
        if self._resumable and not _is_hopeless(error) and not _is_full(error):
            self._garbage.later(self.needs)
        else:
            self._garbage.soon(self.needs)


class Garbage:
    """The collection."""

    def __init__(self, catalog: Catalog, content: ContentStore, layers: LayerStore) -> None:
        self._catalog = catalog
        self._content = content
        self._layers = layers
        self._removing = asyncio.Lock()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._number = 0
        self._tasks: set[asyncio.Task[int]] = set()
        self._postponed = Needs()
        self.held: dict[str, tuple[str, ...]] = {}
        self.kept: dict[str, Needs] = {}
        self.leased_blobs: Counter[str] = Counter()
        self.leased_chains: Counter[str] = Counter()

    def lease(self, *, resumable: bool = False) -> Lease:
        """Return a lease for use in `with`. What it names is dropped after a failure, unless needed by others.

        `resumable`: only some time after it, for the next attempt, if there is space on the disk.
        """
        return Lease(self, resumable=resumable)

    async def settled(self) -> None:
        """Wait while something is being deleted: what is seen afterwards stays, if it is leased."""
        if self._removing.locked():
            async with self._removing:
                pass

    async def collect(self, candidates: Needs) -> int:
        """Delete those candidates that nothing needs; return the bytes gained."""
        async with self._removing:
            blobs, chains = self._unneeded(candidates)
            gained = await self._content.remove(blobs)
            for chain in chains:
                gained += self._layers.size(chain)
                try:
                    await asyncio.to_thread(self._layers.remove, chain)
                except OSError as error:
                    log.error("layer %s cannot be removed: %s", chain, error)
            return gained

    def take_up(self, released: Needs) -> None:
        """Delete in the background what should have gone while work relied on it."""
        due = Needs(self._postponed.blobs & released.blobs, self._postponed.chains & released.chains)
        if due.blobs or due.chains:
            self._postponed.blobs -= due.blobs
            self._postponed.chains -= due.chains
            self.soon(due)

    async def collect_all(self) -> int:
        """Delete everything that nothing needs: what a killed daemon has left."""
        return await self.collect(Needs(set(self._content.all()), set(self._layers.all())))

    def _unneeded(self, candidates: Needs) -> tuple[set[str], set[str]]:
        needed = Needs()
        for stored in self._catalog.everything():
            needed.add_stored(stored)
        for chains_of_holder in self.held.values():
            needed.chains.update(chains_of_holder)
        for kept in self.kept.values():
            needed.blobs |= kept.blobs
            needed.chains |= kept.chains
        blobs, chains = candidates.blobs - needed.blobs, candidates.chains - needed.chains
        self._postponed.blobs |= blobs & self.leased_blobs.keys()
        self._postponed.chains |= chains & self.leased_chains.keys()
        unleased = chains - self.leased_chains.keys()
        return blobs - self.leased_blobs.keys(), {c for c in unleased if self._layers.has(c)}

    def image_chains(self) -> set[str]:
        """Return the chain IDs of all layers that images consist of."""
        return {chain for stored in self._catalog.everything() for chain in needs_of(stored).chains}

    def later(self, candidates: Needs, seconds: float = KEEP_SECONDS) -> None:
        """Delete unneeded candidates some time from now."""
        self._number += 1
        loop = asyncio.get_running_loop()
        self._timers[self._number] = loop.call_later(seconds, self._due, self._number, candidates)

    def _due(self, number: int, candidates: Needs) -> None:
        del self._timers[number]
        task = asyncio.get_running_loop().create_task(self.collect(candidates), name="image-garbage")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def soon(self, candidates: Needs) -> None:
        """Delete unneeded candidates in the background."""
        self.later(candidates, 0)

    async def close(self) -> None:
        """Stop waiting and finish deletions under way."""
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)


_HOPELESS = (
    NotFound,
    InvalidParameter,
    NotImplementedHere,
    LayerMismatch,
    MalformedImage,
    DigestMismatch,
    SizeMismatch,
)


def _is_hopeless(error: BaseException | None) -> bool:
    """Tell whether the same again would end the same, so that nothing of it will be taken up."""
    while error is not None:
        if isinstance(error, _HOPELESS):
            return True
        error = error.__cause__
    return False


def _is_full(error: BaseException | None) -> bool:
    """Tell whether an error is due to a full disk, at first or second hand."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__
    return False


def needs_of(*stored: StoredImage) -> Needs:
    """Return all that whole images consist of, blobs of deleted ones included."""
    needs = Needs()
    for one in stored:
        for image in one.images:
            needs.add_image(image)
        needs.add_statements(one)
        needs.blobs.add(one.target.digest)
    return needs
