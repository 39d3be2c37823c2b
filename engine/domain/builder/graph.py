"""The graph that a build comes down to, in the shape of BuildKit's LLB: sources, commands, file operations.

A vertex is an operation and the vertices whose trees it needs; both fronts make such graphs, the solver solves them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.model.container import HostConfig
from engine.domain.builder.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ImageSource:
    """The tree of an image, which is there and unpacked; `image_id` is empty for `scratch`."""

    image_id: str
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A directory of the daemon's that holds what a client sent, or what was fetched for it."""

    path: Path


@dataclass(frozen=True, slots=True)
class Exec:
    """A command that runs in the tree of the first input."""

    args: Sequence[str]
    env: Sequence[str]
    user: str
    working_dir: str
    image_id: str = ""
    host_config: HostConfig = field(default_factory=HostConfig)


@dataclass(frozen=True, slots=True)
class CopyFiles:
    """Files of the second input copied into the tree of the first. `chmod` is octal digits or empty."""

    sources: Sequence[str]
    dest: str
    chown: str = ""
    chmod: str = ""
    extract: bool = False
    failure_prefix: str = "COPY failed: "


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """A directory made in the tree of the first input, where it is missing."""

    path: str


@dataclass(frozen=True, slots=True)
class Note:
    """Nothing done to the tree of the first input: a step that only changes the image's configuration."""


Operation = ImageSource | LocalSource | Exec | CopyFiles | MakeDirectory | Note


@dataclass(frozen=True, slots=True, eq=False)
class Vertex:
    """A step. `identity` is what tells it from other steps with the same inputs, `name` is for people."""

    operation: Operation
    inputs: Sequence["Vertex"] = ()
    name: str = ""
    identity: Mapping[str, object] = field(default_factory=dict)
