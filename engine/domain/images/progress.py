"""What a pull, push, load or import tells while it goes on. `api/wire` gives these things their JSON."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engine.core.model.image import Descriptor


@dataclass(frozen=True, slots=True)
class Note:
    """A line of its own: `Pulling from lib/x` with the tag as `id`, `Digest: …`, `Status: …`."""

    status: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a layer is. `current` and `total` in bytes, or in `units`; `finished` has no counts to show."""

    id: str
    status: str
    current: int = 0
    total: int = 0
    units: str = ""
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Text for the user as it is (`Loaded image: x`)."""

    stream: str


@dataclass(frozen=True, slots=True)
class IndexNarrowed:
    """Of an index whose platforms are not all here, one manifest was pushed."""

    index: Descriptor
    manifest: Descriptor


@dataclass(frozen=True, slots=True)
class Sent:
    """What a registry has now under a tag; `size` is the manifest's, in bytes."""

    tag: str
    digest: str
    size: int


Line = Note | Step | Text | IndexNarrowed | Sent
Sink = Callable[[Line], Awaitable[None]]
"""Takes a line; waits while the client is slow; raises ConnectionError when it is gone."""
