"""What `docker logs` can ask for, and what it gets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

STDOUT, STDERR = 1, 2
# Of the daemon itself: what went wrong while a log was read.
SYSTEM = 3


class LogChunk(NamedTuple):
    """A piece of output: one or many lines of one stream. `stream` is 0 where `LogOptions.frame` has been applied."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Times in nanoseconds since the epoch (0: not asked for); `tail` in lines (None: all).

    `details` is the text that stands before each line, with its blank. `frame` turns (stream, bytes) into what goes to
    the client; it is applied while the log is read, away from the event loop, to each line when following (clients
    take a frame for a line then) and to runs of lines of one stream otherwise.
    """

    stdout: bool = True
    stderr: bool = True
    since: int = 0
    until: int = 0
    timestamps: bool = False
    tail: int | None = None
    follow: bool = False
    details: str = ""
    frame: Callable[[int, bytes], bytes] | None = None
