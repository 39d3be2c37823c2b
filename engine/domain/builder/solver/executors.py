"""What the solver asks of those who do the work, one for each kind of operation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import Vertex
from engine.domain.builder.progress import LogEvent, StatusEvent
from engine.domain.builder.snapshot import Snapshot

Report = Callable[[StatusEvent | LogEvent], None]
"""Takes what happens; the vertex in it does not matter."""


@dataclass(frozen=True, slots=True)
class Work:
    """A vertex to be made for a build, and whom to tell how it goes. `digest` is the vertex's."""

    job: Job
    vertex: Vertex
    digest: str
    report: Report


class Executor(Protocol):
    """Does one kind of operation."""

    async def run(self, work: Work, inputs: Sequence[Snapshot]) -> Sequence[Snapshot]:
        """Return the trees of all outputs. Raises WharfError, OSError."""
        ...


class Source(Protocol):
    """Brings trees from one kind of place outside."""

    @property
    def transient(self) -> bool:
        """Whether what identifies a tree is good for one build only."""
        ...

    async def identify(self, work: Work) -> str:
        """Return what tells this tree from others: the same for the same content. Raises WharfError, OSError."""
        ...

    def known(self, work: Work) -> bool:
        """Tell whether the tree, which is identified, has been brought for an earlier build."""
        ...

    async def load(self, work: Work) -> Snapshot:
        """Return the tree. Raises WharfError, OSError."""
        ...


class Imports(Protocol):
    """Knows what others have made."""

    async def find(self, key: str, job: Job, report: Report) -> Snapshot | None:
        """Return the tree that a step with this key made; None where nobody knows. Raises WharfError, OSError."""
        ...
