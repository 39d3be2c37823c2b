"""The build cache's bounds: after builds, and not more often than now and then, what is too much is deleted.

Which rules are followed is `gc_rules.py`'s matter. It is done as often as BuildKit does it: a second after the daemon's
start and after builds, but once a minute at most.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

from engine.core.errors import WharfError
from engine.domain.builder.prune import CachePruner, PruneOptions

log = logging.getLogger(__name__)
_DELAY, _PAUSE = 1.0, 60.0


class CacheGc:
    """Prunes by rules."""

    def __init__(self, pruner: CachePruner, rules: Sequence[PruneOptions]) -> None:
        self._pruner = pruner
        self.rules = rules
        self._last = -_PAUSE
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def soon(self) -> None:
        """Look at the cache some time from now. To be called when a build has ended."""
        if self._timer is None and self.rules:
            delay = max(_DELAY, self._last + _PAUSE - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._begin)

    def _begin(self) -> None:
        self._timer, self._last = None, time.monotonic()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="build-cache-gc")

    async def _run(self) -> None:
        try:
            await self.collect()
        except (OSError, WharfError) as error:
            log.error("the build cache cannot be trimmed: %s", error)

    async def collect(self) -> int:
        """Apply the rules now; return how many records went. Raises OSError."""
        gone = 0
        for rule in self.rules:
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
