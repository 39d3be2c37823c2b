"""The log of past events: bounded, written in the background, read again at the next start.

Events wait for at most `DELAY` seconds, so that many share a transaction and no publisher ever waits. A daemon that is
killed loses those at most. They are held encoded, a few hundred bytes each.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator

import msgspec

from engine.core.model.event import Event
from engine.state.store import Change, Delete, Put, Store

log = logging.getLogger(__name__)
KIND = "event"
DELAY = 0.05


class EventRecord:
    """The last `capacity` events."""

    def __init__(self, store: Store, capacity: int) -> None:
        """Read what the previous daemon left. Blocks; used at start-up only."""
        self._store = store
        self._capacity = capacity
        self._decoder = msgspec.msgpack.Decoder(Event)
        loaded = store.load(KIND, Event)
        self._events = deque((e.time, msgspec.msgpack.encode(e)) for _, e in sorted(loaded.items()))
        self._changes: list[Change] = []
        self._pending = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    @property
    def last_time(self) -> int:
        """The time of the newest event, 0 where there is none."""
        return self._events[-1][0] if self._events else 0

    def add(self, event: Event) -> None:
        """Append an event; the oldest one goes when there are too many. Never waits."""
        self._events.append((event.time, msgspec.msgpack.encode(event)))
        self._changes.append(Put(KIND, _key(event.time), event))
        while len(self._events) > self._capacity:
            self._changes.append(Delete(KIND, _key(self._events.popleft()[0])))
        self._pending.set()
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_forever(), name="event-writer")

    def between(self, since: int, until: int) -> Iterator[Event]:
        """Return the events from `since` to `until` (0: all later ones), in nanoseconds since the epoch."""
        for time, encoded in list(self._events):
            if time >= since and (not until or time <= until):
                yield self._decoder.decode(encoded)

    async def _write_forever(self) -> None:
        while True:
            await self._pending.wait()
            await asyncio.sleep(DELAY)
            await self._flush()

    async def _flush(self) -> None:
        self._pending.clear()
        changes, self._changes = self._changes, []
        try:
            await self._store.commit(*changes)
        except OSError as error:
            log.error("%d events are not kept: %s", len(changes), error)

    async def close(self) -> None:
        """Write what waits and stop."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        if self._changes:
            await self._flush()


def _key(time: int) -> str:
    return f"{time:020d}"
