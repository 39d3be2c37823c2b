"""When to look at a log again: inotify tells, or a poll where the kernel has no more watches."""

import asyncio
import contextlib
from pathlib import Path

from engine.core import times
from engine.drivers.linux.inotify import DirectoryWatch

_POLL_SECONDS = 0.2


class Changes:
    """Tells a follower when to look again."""

    def __init__(self, directory: Path, ended: asyncio.Event) -> None:
        self._ended = ended
        self._changed = asyncio.Event()
        self._end = asyncio.get_running_loop().create_task(self._wake_at_end(), name="log-end")
        try:
            self._watch: DirectoryWatch | None = DirectoryWatch(directory, self._changed.set)
        except OSError:
            self._watch = None

    async def _wake_at_end(self) -> None:
        await self._ended.wait()
        self._changed.set()

    def arm(self) -> bool:
        """Notice changes from now on; return whether there will be no more."""
        self._changed.clear()
        return self._ended.is_set()

    async def wait(self, until: int) -> bool:
        """Wait for a change; return False where the time `until` comes first (0: no such time)."""
        seconds = _POLL_SECONDS if self._watch is None else None
        if until:
            seconds = max(0.0, min((until - times.now()) / 1e9, 3600.0 if seconds is None else seconds))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        return not until or until > times.now()

    def close(self) -> None:
        """Stop."""
        self._end.cancel()
        if self._watch is not None:
            self._watch.close()
