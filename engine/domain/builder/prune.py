"""`docker builder prune`, and the build cache's own bounds: what is deleted, and in which order.

As BuildKit's cache manager: nothing that is in use, nothing that another record builds upon before that one has gone.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.core import times
from engine.domain.builder.cache import BuildCache
from engine.domain.builder.ops.cache_mounts import CacheMounts
from engine.domain.builder.usage import CacheUsage, Usage, matches
from engine.drivers.linux.disk import free_bytes

_INTERNAL = ("internal", "frontend")


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """What may go: `filters` as in usage.py; not what was used within `keep_duration` (ns).

    With one of the sizes (bytes) only as much as is needed: to hold no more than `max_used`, to leave `min_free` of the
    disk, but never to less than `reserved`. `all`: what images share and what is the builder's own, too.
    """

    all: bool = False
    filters: Sequence[str] = ()
    keep_duration: int = 0
    reserved: int = 0
    max_used: int = 0
    min_free: int = 0

    @property
    def bounded(self) -> bool:
        """Whether sizes decide how much goes."""
        return bool(self.reserved or self.max_used or self.min_free)


@dataclass(slots=True)
class _Plan:
    """What is there and what goes, the first first."""

    left: dict[str, Usage]
    going: list[Usage] = field(default_factory=list)


class CachePruner:
    """Deletes from the cache."""

    def __init__(self, cache: BuildCache, usage: CacheUsage, mounts: CacheMounts, home: Path) -> None:
        self._cache = cache
        self._usage = usage
        self._mounts = mounts
        self._home = home
        self._one_at_a_time = asyncio.Lock()

    async def prune(self, options: PruneOptions) -> AsyncIterator[Usage]:
        """Delete what may go, and yield it. Raises InvalidCacheFilter, OSError."""
        async with self._one_at_a_time:
            found = await self._usage.all()
            free = await asyncio.to_thread(free_bytes, self._home) if options.min_free else 0
            going = plan(found, options, free, times.now())
            for usage in going:
                await self._delete(usage)
                yield usage

    async def _delete(self, usage: Usage) -> None:
        record = self._cache.by_id(usage.id)
        if record is None:
            for other in self._usage.others:
                await other.remove([usage.id])
            return
        await self._cache.remove([record])
        if record.directory:
            await self._mounts.delete(record)


def plan(found: Sequence[Usage], options: PruneOptions, free: int, now: int) -> list[Usage]:
    """Return what goes, in order: a record before those that it builds upon. Raises InvalidCacheFilter. Pure."""
    state = _Plan({usage.id: usage for usage in found})
    may_go = {usage.id for usage in found if _may_go(usage, options, now)}
    total = sum(usage.size for usage in found if not usage.shared)
    limit = _limit(total, options, free)
    while not options.bounded or total > limit:
        upon = {parent for usage in state.left.values() for parent in usage.parents}
        ready = [usage for usage in state.left.values() if usage.id in may_go and usage.id not in upon]
        if not ready:
            break
        for usage in sorted(ready, key=lambda u: (u.used_at, u.uses))[: 1 if options.bounded else None]:
            del state.left[usage.id]
            state.going.append(usage)
            total -= 0 if usage.shared else usage.size
    return state.going


def _may_go(usage: Usage, options: PruneOptions, now: int) -> bool:
    if usage.in_use or (not options.all and (usage.kind in _INTERNAL or usage.shared)):
        return False
    if options.keep_duration and usage.used_at > now - options.keep_duration:
        return False
    return matches(usage, options.filters)


def _limit(total: int, options: PruneOptions, free: int) -> int:
    """Return how many bytes may stay."""
    limit = options.max_used
    missing = options.min_free - free
    if options.min_free and missing > 0:
        limit = min(limit, total - missing) if limit else total - missing
    elif not limit and not options.reserved:
        return total
    return max(limit, options.reserved)
