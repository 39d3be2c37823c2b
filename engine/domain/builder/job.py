"""One build, as the solver knows it: whom to ask for directories and secrets, and whom to tell."""

from dataclasses import dataclass

from engine.domain.builder.progress import Progress
from engine.domain.builder.session import Session


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A build. It is cancelled by cancelling the task that runs it."""

    ref: str
    session: Session
    progress: Progress
    no_cache: bool = False
