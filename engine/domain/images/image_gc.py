"""The policy `image-gc`: where the disk is fuller than a limit, images that no container uses go, the oldest first.

Nameless images go before named ones. Never deleted is what a container was made from, and what came, or was last used,
only a short time ago: somebody may be about to use it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from engine.core import times
from engine.core.model.image import StoredImage
from engine.domain.images.catalog import Catalog
from engine.domain.images.delete import Deleter
from engine.domain.images.images import Images

log = logging.getLogger(__name__)
INTERVAL = 10.0
"""Seconds between two looks at the disk."""


@dataclass(frozen=True, slots=True)
class GcPolicy:
    """`limit`: percent of the disk that may be in use, 0: no limit. `age`: seconds for which unused images stay."""

    limit: int = 0
    age: int = 120


class ImageGc:
    """Looks at the disk now and then. `used` blocks and returns percents of the disk; it runs in a thread."""

    def __init__(self, catalog: Catalog, images: Images, deleter: Deleter, used: Callable[[], float]) -> None:
        self._catalog = catalog
        self._images = images
        self._deleter = deleter
        self._used = used
        self._task: asyncio.Task[None] | None = None
        self._policy = GcPolicy()
        self._changed = asyncio.Event()

    def start(self, policy: GcPolicy) -> None:
        """Begin."""
        self._policy = policy
        self._task = asyncio.get_running_loop().create_task(self._run(), name="image-gc")

    def change(self, policy: GcPolicy) -> None:
        """Follow another policy, at once."""
        self._policy = policy
        self._changed.set()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), INTERVAL)
            self._changed.clear()
            try:
                await self.sweep()
            except OSError as error:
                log.error("image-gc: %s", error)

    async def sweep(self) -> int:
        """Delete images while the disk is too full; return how many. Raises OSError."""
        count = 0
        while self._policy.limit and await asyncio.to_thread(self._used) > self._policy.limit:
            stored = self._next()
            if stored is None:
                break
            report = await self._deleter.remove(stored)
            count += 1
            log.info("image-gc: deleted %s (%s)", stored.target.digest, ", ".join(d.untagged for d in report[:-1]))
        return count

    def _next(self) -> StoredImage | None:
        since = times.now() - self._policy.age * 10**9
        spare = [i for i in self._catalog.images() if not self._images.holders(i.target.digest)]
        old = [i for i in spare if self._images.last_used(i) <= since]
        return min(old, key=self._rank, default=None)

    def _rank(self, stored: StoredImage) -> tuple[bool, int]:
        return bool(self._catalog.names_of(stored.target.digest)), self._images.last_used(stored)

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
