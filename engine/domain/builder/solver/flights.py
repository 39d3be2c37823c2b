"""Equal steps that several builds want at the same time are done once.

Who comes later hears from the start what the step has said. A step that nobody waits for any more is cancelled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from engine.domain.builder.progress import LogEvent, StatusEvent
from engine.domain.builder.snapshot import Snapshot
from engine.domain.builder.solver.executors import Report

Outcome = Sequence[Snapshot]


@dataclass(eq=False, slots=True)
class _Flight:
    """A step under way. `said` is what happened so far."""

    task: "asyncio.Task[Outcome] | None" = None
    listeners: list[Report] = field(default_factory=list)
    said: list[StatusEvent | LogEvent] = field(default_factory=list)
    waiting: int = 0

    def report(self, event: StatusEvent | LogEvent) -> None:
        self.said.append(event)
        for listener in self.listeners:
            listener(event)


class Flights:
    """The steps under way, by key."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    async def join(self, key: str, work: Callable[[Report], Awaitable[Outcome]], listener: Report) -> Outcome:
        """Begin the work, or join who does it already. Raises what the work raises."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            flight.task = asyncio.get_running_loop().create_task(self._fly(work, flight), name=f"step-{key[7:19]}")
            flight.task.add_done_callback(lambda _: self._landed(key, flight))
        for event in flight.said:
            listener(event)
        flight.listeners.append(listener)
        flight.waiting += 1
        assert flight.task is not None
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.listeners.remove(listener)
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._landed(key, flight)
                flight.task.cancel()
                await asyncio.wait((flight.task,))

    async def _fly(self, work: Callable[[Report], Awaitable[Outcome]], flight: _Flight) -> Outcome:
        return await work(flight.report)

    def _landed(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task is not None and flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # Told to those who wait.
