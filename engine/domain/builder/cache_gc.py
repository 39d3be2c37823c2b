"""The build cache's bounds: after builds, and not more often than now and then, what is too much is deleted.

The rules are dockerd's defaults (moby `daemon/internal/builder-next`, `DefaultGCPolicy`): first what is cheap to make
again and was not used for two days, then what was not used for two months, then down to a size, last of all everything.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from engine.core.errors import WharfError
from engine.domain.builder.prune import CachePruner, PruneOptions
from engine.drivers.linux.disk import total_bytes

log = logging.getLogger(__name__)
_PAUSE = 60.0
_HOUR = 3600 * 10**9
_CHEAP = ("type==source.local", "type==exec.cachemount", "type==source.git.checkout")
_MEGABYTE, _GIGABYTE = 10**6, 10**9


def default_rules(disk: int, reserved: int = 0) -> Sequence[PruneOptions]:
    """Return the rules for a disk of that many bytes; `reserved` of them are always left to the cache."""
    reserved = reserved or min(disk // 10, 10 * _GIGABYTE)
    most, free = disk * 6 // 10, disk // 5
    return (
        PruneOptions(filters=_CHEAP, keep_duration=48 * _HOUR, max_used=512 * _MEGABYTE),
        PruneOptions(keep_duration=1440 * _HOUR, reserved=reserved, max_used=most, min_free=free),
        PruneOptions(reserved=reserved, max_used=most, min_free=free),
        PruneOptions(all=True, reserved=reserved, max_used=most, min_free=free),
    )


class CacheGc:
    """Prunes by rules."""

    def __init__(self, pruner: CachePruner, home: Path) -> None:
        self._pruner = pruner
        self._home = home
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def soon(self) -> None:
        """Look at the cache some time from now. To be called when a build has ended."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._task = asyncio.get_running_loop().create_task(self._run(), name="build-cache-gc")

    async def _run(self) -> None:
        try:
            await self.collect()
        except (OSError, WharfError) as error:
            log.error("the build cache cannot be trimmed: %s", error)

    async def collect(self) -> int:
        """Apply the rules now; return how many records went. Raises OSError."""
        gone = 0
        for rule in default_rules(await asyncio.to_thread(total_bytes, self._home)):
            async for usage in self._pruner.prune(rule):
                log.info("build cache: %s (%s) was deleted", usage.id, usage.description)
                gone += 1
        return gone

    async def close(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
