"""The tree that a stage has come to, with what later commands inherit: environment, directory, user. Pure.

The shapes of vertices are those that BuildKit's `client/llb` marshals.
"""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.domain.builder.llb.codec import digest_of
from engine.domain.builder.llb.ops import (
    EMPTY,
    CopyAction,
    Description,
    Edge,
    FileAction,
    FileOp,
    MakeDirectory,
    MakeFile,
    MergeOp,
    NetMode,
    Owner,
    Vertex,
)


@dataclass(frozen=True, slots=True)
class State:
    """`tree` None: empty."""

    tree: Edge | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    user: str = ""
    hostname: str = ""
    network: NetMode = NetMode.SANDBOX

    def with_env(self, name: str, value: str) -> "State":
        """Set a variable; it moves to the end."""
        env = {key: old for key, old in self.env.items() if key != name}
        return replace(self, env={**env, name: value})

    def on(self, tree: Edge | None) -> "State":
        """Return the same with another tree."""
        return replace(self, tree=tree)

    def path(self, text: str) -> str:
        """Return an absolute path for one that is relative to the working directory; a slash at its end stays."""
        whole = text if text.startswith("/") else posixpath.join("/", self.cwd, text or "./")
        if text in (".", ""):
            whole += "/"
        clean = posixpath.normpath("/" + whole.lstrip("/"))
        ends = whole.endswith(("/", "/."))
        return clean + "/" if ends and clean != "/" else clean


class Inputs:
    """The inputs of a vertex in the making; equal ones are there once."""

    def __init__(self) -> None:
        self.edges: list[Edge] = []
        self._numbers: dict[tuple[str, int], int] = {}

    def add(self, edge: Edge | None) -> int:
        """Return the number of an input, EMPTY for an empty tree."""
        if edge is None:
            return EMPTY
        key = (digest_of(edge.vertex), edge.output)
        if key not in self._numbers:
            self._numbers[key] = len(self.edges)
            self.edges.append(edge)
        # As with BuildKit, the last of equal ones gives its name.
        self.edges[self._numbers[key]] = edge
        return self._numbers[key]


@dataclass(frozen=True, slots=True)
class CopyFrom:
    """A copy in the making: what, and from which tree."""

    action: CopyAction
    source: Edge | None


def copy_all(tree: Edge | None, copies: Sequence[CopyFrom], description: Description) -> Edge:
    """Return a tree into which things are copied, one after the other."""
    inputs = Inputs()
    bottom = inputs.add(tree)
    sources = [inputs.add(copy.source) for copy in copies]
    actions, last = [], len(copies) - 1
    for i, copy in enumerate(copies):
        action = copy.action
        if action.owner is not None:
            action = replace(action, owner=replace(action.owner, names_input=bottom))
        below = bottom if i == 0 else len(inputs.edges) + i - 1
        actions.append(FileAction(action, below, sources[i], 0 if i == last else EMPTY))
    return Edge(Vertex(FileOp(actions), inputs.edges, description=description))


def make(tree: Edge | None, action: MakeDirectory | MakeFile, description: Description) -> Edge:
    """Return a tree in which something is made."""
    inputs = Inputs()
    bottom = inputs.add(tree)
    if action.owner is not None:
        action = replace(action, owner=replace(action.owner, names_input=bottom))
    return Edge(Vertex(FileOp([FileAction(action, bottom, EMPTY, 0)]), inputs.edges, description=description))


def merge(lower: Edge | None, upper: Edge, description: Description) -> Edge:
    """Return one tree above another."""
    return upper if lower is None else Edge(Vertex(MergeOp(), [lower, upper], description=description))


def owner_of(text: str) -> Owner:
    """Return the owner that `user`, `user:group` or `:group` names, digits being numbers."""
    user, _, group = text.partition(":")
    return Owner(_name_or_number(user), _name_or_number(group))


def _name_or_number(text: str) -> int | str | None:
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and int(text) < 2**32 else text
