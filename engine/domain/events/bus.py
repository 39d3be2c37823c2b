"""The event bus: whoever does something says so here, and clients and other parts of the daemon hear of it.

Publishing never waits. A subscriber that does not keep up is ended, with a line in the log, rather than left to miss
events unawares; it may come back with the time of the last event it saw.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from types import TracebackType

from engine.core import times
from engine.core.filters import Filters
from engine.core.model.event import Event, EventType
from engine.domain.events.filter import Predicate, matcher
from engine.domain.events.record import EventRecord
from engine.state.store import Store

log = logging.getLogger(__name__)
CAPACITY = 10_000
BACKLOG = 4096


class Subscription(AsyncIterator[Event]):
    """Events from a moment on: first those that have been, then live ones.

    Iteration ends at `until`, at the bus's end, or when the subscriber is too slow. Close it, or use it in `with`.
    """

    def __init__(self, bus: "EventBus", wanted: Predicate, until: int) -> None:
        self._bus = bus
        self._wanted = wanted
        self._until = until
        self._queue: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._ended = False

    def offer(self, event: Event) -> None:
        """Take an event, where it is wanted. Never waits; called by the bus."""
        if self._ended or not self._wanted(event):
            return
        if len(self._queue) >= BACKLOG:
            log.warning("a subscriber to events does not keep up and is ended")
            self.close()
            return
        self._queue.append(event)
        self._arrived.set()

    def replay(self, events: list[Event]) -> None:
        """Put past events in front; called by the bus."""
        self._queue.extend(events)
        if self._until and self._until <= times.now():
            self.close()

    def close(self) -> None:
        """Take no more events; what has arrived can still be read."""
        self._ended = True
        self._arrived.set()
        self._bus.unsubscribe(self)

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.clear()
        self.close()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Event:
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            await self._wait()
        event = self._queue.popleft()
        if self._until and event.time > self._until:
            self.close()
            raise StopAsyncIteration
        return event

    async def _wait(self) -> None:
        """Wait for an event, at most until the time at which the subscription ends."""
        self._arrived.clear()
        if not self._until:
            await self._arrived.wait()
            return
        try:
            async with asyncio.timeout((self._until - times.now()) / 1e9):
                await self._arrived.wait()
        except TimeoutError:
            self.close()


class EventBus:
    """Publishes and replays events."""

    def __init__(self, store: Store, capacity: int = CAPACITY) -> None:
        """Read the events of the past. Blocks; used at start-up only."""
        self._record = EventRecord(store, capacity)
        self._last_time = self._record.last_time
        self._subscriptions: set[Subscription] = set()

    @property
    def subscribers(self) -> int:
        """How many listen (`NEventsListener` of /info)."""
        return len(self._subscriptions)

    def publish(self, kind: EventType, action: str, actor: str, attributes: Mapping[str, str]) -> Event:
        """Tell of something that has happened. Never waits, never fails; times are unique and increase."""
        self._last_time = max(times.now(), self._last_time + 1)
        event = Event(type=kind, action=action, actor=actor, attributes=dict(attributes), time=self._last_time)
        self._record.add(event)
        for subscription in list(self._subscriptions):
            subscription.offer(event)
        return event

    def subscribe(self, since: int = 0, until: int = 0, filters: Filters | None = None) -> Subscription:
        """Return a subscription that misses nothing from this call on.

        `since` asks for past events first, `until` ends it; both in nanoseconds since the epoch, 0: not asked for.
        """
        wanted = matcher(filters or {})
        subscription = Subscription(self, wanted, until)
        self._subscriptions.add(subscription)
        if since or until:
            subscription.replay([e for e in self._record.between(since, until) if wanted(e)] if since else [])
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a subscription; nothing happens where it is forgotten already."""
        self._subscriptions.discard(subscription)

    async def close(self) -> None:
        """End all subscriptions and write what is not written."""
        for subscription in list(self._subscriptions):
            subscription.close()
        await self._record.close()
