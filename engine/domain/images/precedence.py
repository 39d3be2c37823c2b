"""Who goes first among downloads.

Layers are unpacked in their order, the lowest first. On a fast line one download fills it alone; the others then give
way to the oldest, so that unpacking begins early. On any other line they share it.
"""

import asyncio
import time

FAST = 50 << 20
"""Bytes per second from which one download counts as filling the line."""
_WINDOW, _STALE = 0.02, 0.05
_PAUSE, _PAUSES = 0.003, 300


class Pace:
    """How fast a download gets on."""

    def __init__(self) -> None:
        self._since = self._last = 0.0
        self._bytes = 0
        self._rate = 0.0

    def add(self, count: int) -> None:
        """Note that so many bytes have come."""
        self._last = now = time.monotonic()
        self._bytes += count
        if now - self._since >= _WINDOW:
            self._rate = self._bytes / (now - self._since) if self._since else 0.0
            self._since, self._bytes = now, 0

    @property
    def is_fast(self) -> bool:
        """Whether it fills a fast line at this moment."""
        return self._rate >= FAST and time.monotonic() - self._last < _STALE


class Precedence:
    """The downloads under way, the oldest first."""

    def __init__(self) -> None:
        self._paces: list[Pace] = []

    def enter(self) -> Pace:
        """Join them. `leave` must follow."""
        self._paces.append(Pace())
        return self._paces[-1]

    def leave(self, pace: Pace) -> None:
        """Be done."""
        self._paces.remove(pace)

    async def give_way(self, pace: Pace) -> None:
        """Wait while an older one fills the line, but not for long: the registry is waiting, too."""
        for _ in range(_PAUSES):
            if self._paces[0] is pace or not self._paces[0].is_fast:
                return
            await asyncio.sleep(_PAUSE)
