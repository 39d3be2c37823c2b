"""What a build's progress is told of one vertex: that it begins, ends, fails, or is in the cache; and what it says."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.core import times
from engine.domain.builder.failures import VertexFailed, worded
from engine.domain.builder.job import Job
from engine.domain.builder.llb.codec import digest_of
from engine.domain.builder.llb.ops import Vertex
from engine.domain.builder.progress import LogEvent, StatusEvent, VertexEvent
from engine.domain.builder.solver import describe


class VertexTeller:
    """Tells of one vertex."""

    def __init__(self, job: Job, vertex: Vertex, inputs: Sequence[str]) -> None:
        self._job = job
        self._vertex = vertex
        self._event = VertexEvent(
            digest_of(vertex),
            describe.name_of(vertex),
            inputs=list(dict.fromkeys(inputs)),
            group=vertex.description.progress_group,
        )
        job.progress.send(self._event)

    def report(self, event: StatusEvent | LogEvent) -> None:
        """Pass on what the vertex says."""
        self._job.progress.send(replace(event, vertex=self._event.digest))

    def _tell(self, **changes: Any) -> None:
        self._event = replace(self._event, **changes)
        self._job.progress.send(self._event)

    def cached(self) -> None:
        """Say that it was done before; once."""
        if not self._event.cached:
            now = times.now()
            self._tell(started=now, completed=now, cached=True)

    def told(self, meanwhile: str = "", *, again: bool = True) -> "Told":
        """Tell of the beginning and the end of what is done within; not `again` where it has ended once.

        `meanwhile` goes before the text of an error for those who wait.
        """
        return Told(self, meanwhile, silent=not again and bool(self._event.completed))

    def begin(self) -> None:
        """Say that the vertex is being worked on."""
        self._tell(started=times.now(), completed=0, cached=False)

    def end(self, error: BaseException | None) -> None:
        """Say that it is done, or why not."""
        text = "" if error is None else worded(error)
        if isinstance(error, asyncio.CancelledError):
            text = "context canceled"
        self._tell(started=self._event.started or times.now(), completed=times.now(), error=text)

    def refused(self, error: Exception, meanwhile: str) -> VertexFailed:
        """Say of what has not begun that it cannot be done; return what those who wait for it are to see."""
        self.begin()
        self.end(error)
        return self.failed(error, meanwhile)

    def failed(self, error: Exception, meanwhile: str) -> VertexFailed:
        """Return what those who wait for the vertex are to see of an error in it."""
        return VertexFailed(self._event.digest, self._vertex.description.source, error, meanwhile)


class Told:
    """The work that is told of."""

    def __init__(self, teller: VertexTeller, meanwhile: str, *, silent: bool) -> None:
        self._teller = teller
        self._meanwhile = meanwhile
        self._silent = silent

    async def __aenter__(self) -> None:
        if not self._silent:
            self._teller.begin()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not self._silent or error is not None:
            self._teller.end(error)
        if isinstance(error, Exception) and not isinstance(error, VertexFailed):
            raise self._teller.failed(error, self._meanwhile) from error
