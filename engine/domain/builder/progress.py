"""What happens in a build, as BuildKit's clients are told: vertices, their states, their output.

Events are kept, so that who asks late (or wants the history) hears all of it from the start.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from engine.core import times
from engine.domain.builder.llb.ops import SourceRange


@dataclass(frozen=True, slots=True)
class VertexEvent:
    """The state of a vertex; sent again at each change. Times in ns since the epoch, 0: not yet."""

    digest: str
    name: str
    inputs: Sequence[str] = ()
    started: int = 0
    completed: int = 0
    cached: bool = False
    error: str = ""
    group: tuple[str, str, bool] | None = None


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """How far a part of a vertex is (`transferring context:`); numbers are bytes."""

    vertex: str
    id: str
    name: str = ""
    current: int = 0
    total: int = 0
    timestamp: int = field(default_factory=times.now)
    started: int = 0
    completed: int = 0


@dataclass(frozen=True, slots=True)
class LogEvent:
    """Output of a command; stream 1 or 2."""

    vertex: str
    stream: int
    data: bytes
    timestamp: int = field(default_factory=times.now)


@dataclass(frozen=True, slots=True)
class WarningEvent:
    """A remark on the Dockerfile."""

    vertex: str
    short: str
    detail: Sequence[str] = ()
    url: str = ""
    level: int = 1
    ranges: Sequence[SourceRange] = ()
    filename: str = ""
    source: bytes = b""


ProgressEvent = VertexEvent | StatusEvent | LogEvent | WarningEvent


class Progress:
    """The events of one build."""

    def __init__(self) -> None:
        self.events: list[ProgressEvent] = []
        self.ended = False
        self._changed = asyncio.Event()

    def send(self, event: ProgressEvent) -> None:
        """Add an event."""
        self.events.append(event)
        self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(self) -> AsyncIterator[Sequence[ProgressEvent]]:
        """Yield all events from the first one on, in batches, until the end."""
        seen = 0
        while True:
            changed = self._changed
            if seen < len(self.events):
                batch = self.events[seen:]
                seen = len(self.events)
                yield batch
            elif self.ended:
                return
            else:
                await changed.wait()
