"""The graph on the wire: `pb.Definition`, in which each vertex is named by the digest of its operation's bytes.

Definitions come back from clients as inputs of further builds (linked targets), so reading trusts nothing. Graphs can
be deep: nothing here recurses.
"""

import hashlib
from collections.abc import Container, Iterator, Mapping
from weakref import WeakKeyDictionary

from google.protobuf.message import DecodeError

from engine.domain.builder.llb import decode, encode
from engine.domain.builder.llb.failures import InvalidDefinition
from engine.domain.builder.llb.ops import Description, Edge, SourceRange, Vertex
from engine.domain.builder.protocol.messages import Message, pb

_CUSTOM_NAME = "llb.customname"
_MAX_VERTICES = 20_000
_DEF = "def"  # A field of that name, which Python keeps for itself.

_DIGESTS: WeakKeyDictionary[Vertex, str] = WeakKeyDictionary()
"""Vertices do not change, so neither does what was computed of them once."""


def digest_of(vertex: Vertex) -> str:
    """Return a vertex's digest: equal for equal work on equal inputs."""
    if vertex not in _DIGESTS:
        for each in inputs_first(vertex, _DIGESTS):
            _DIGESTS[each] = _digest(_op_bytes(each))
    return _DIGESTS[vertex]


def to_definition(edge: Edge | None) -> bytes:
    """Return the graph that an edge needs; None, an empty tree, is an empty definition."""
    definition = pb.Definition()
    if edge is not None:
        files: dict[tuple[str, bytes], int] = {}
        for vertex in inputs_first(edge.vertex):
            getattr(definition, _DEF).append(_op_bytes(vertex))
            _describe(definition, vertex, files)
        last = pb.Op(inputs=[pb.Input(digest=digest_of(edge.vertex), index=edge.output)])
        getattr(definition, _DEF).append(encode.serialize(last))
        for filename, data in files:
            definition.Source.infos.add(filename=filename, data=data, language="Dockerfile")
    return encode.serialize(definition)


def from_definition(data: bytes) -> Edge | None:
    """Return the edge that a definition describes, None for an empty one. Raises InvalidDefinition."""
    try:
        return _Reader(pb.Definition.FromString(data)).edge()
    except DecodeError as error:
        raise InvalidDefinition(str(error)) from error


def inputs_first(top: Vertex, done: Container[Vertex] = ()) -> Iterator[Vertex]:
    """Yield a vertex and all it needs, each once, inputs first; not what is done, nor what that needs."""
    seen: set[Vertex] = set()
    pending: list[tuple[Vertex, bool]] = [(top, False)]
    while pending:
        vertex, expanded = pending.pop()
        if expanded:
            yield vertex
        elif vertex not in seen and vertex not in done:
            seen.add(vertex)
            pending.append((vertex, True))
            pending += [(edge.vertex, False) for edge in reversed(vertex.inputs)]


def _op_bytes(vertex: Vertex) -> bytes:
    return encode.op(vertex, [digest_of(edge.vertex) for edge in vertex.inputs])


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _describe(definition: Message, vertex: Vertex, files: dict[tuple[str, bytes], int]) -> None:
    description, digest = vertex.description, digest_of(vertex)
    metadata = definition.metadata[digest]
    metadata.ignore_cache = description.ignore_cache
    if description.custom_name:
        metadata.description[_CUSTOM_NAME] = description.custom_name
    if description.progress_group:
        identity, name, weak = description.progress_group
        metadata.progress_group.CopyFrom(pb.ProgressGroup(id=identity, name=name, weak=weak))
    for found in description.source:
        number = files.setdefault((found.filename, found.data), len(files))
        lines = pb.Range(start=pb.Position(line=found.start), end=pb.Position(line=found.end))
        definition.Source.locations[digest].locations.add(sourceIndex=number, ranges=[lines])


class _Reader:
    """Makes vertices of one definition."""

    def __init__(self, definition: Message) -> None:
        self._metadata: Mapping[str, Message] = definition.metadata
        self._locations: Mapping[str, Message] = definition.Source.locations
        self._files = [(info.filename, info.data) for info in definition.Source.infos]
        encoded = list(getattr(definition, _DEF))
        if len(encoded) > _MAX_VERTICES:
            raise InvalidDefinition("too many operations")
        self._ops = {_digest(data): pb.Op.FromString(data) for data in encoded}
        self._last = _digest(encoded[-1]) if encoded else ""
        self._vertices: dict[str, Vertex] = {}

    def edge(self) -> Edge | None:
        """Return the edge that the last operation points at."""
        if not self._last:
            return None
        last = self._ops[self._last]
        if len(last.inputs) != 1 or last.WhichOneof("op"):
            raise InvalidDefinition("the last operation must point at the result")
        self._make_all(last.inputs[0].digest)
        return self._edge(last.inputs[0])

    def _make_all(self, top: str) -> None:
        # Digests cannot form a circle.
        pending = [top]
        while pending:
            digest = pending[-1]
            missing = [entry.digest for entry in self._op(digest).inputs if entry.digest not in self._vertices]
            if missing and digest not in self._vertices:
                pending += missing
                continue
            pending.pop()
            if digest not in self._vertices:
                self._vertices[digest] = self._make(digest)

    def _op(self, digest: str) -> Message:
        found = self._ops.get(digest)
        if found is None:
            raise InvalidDefinition(f"operation {digest} is missing")
        return found

    def _make(self, digest: str) -> Vertex:
        message = self._op(digest)
        return Vertex(
            operation=decode.operation(message),
            inputs=tuple(self._edge(entry) for entry in message.inputs),
            platform=decode.platform(message.platform) if message.HasField("platform") else None,
            description=self._description(digest),
        )

    def _edge(self, entry: Message) -> Edge:
        vertex = self._vertices[entry.digest]
        if entry.index not in decode.output_numbers(vertex.operation):
            raise InvalidDefinition(f"operation {entry.digest} has no output {entry.index}")
        return Edge(vertex, entry.index)

    def _description(self, digest: str) -> Description:
        if digest not in self._metadata:
            return Description(source=self._sources(digest))
        found = self._metadata[digest]
        group = found.progress_group
        return Description(
            custom_name=found.description.get(_CUSTOM_NAME, ""),
            ignore_cache=found.ignore_cache,
            progress_group=(group.id, group.name, group.weak) if found.HasField("progress_group") else None,
            source=self._sources(digest),
        )

    def _sources(self, digest: str) -> tuple[SourceRange, ...]:
        if digest not in self._locations:
            return ()
        return tuple(
            self._source(location.sourceIndex, lines)
            for location in self._locations[digest].locations
            for lines in location.ranges
        )

    def _source(self, number: int, lines: Message) -> SourceRange:
        if not 0 <= number < len(self._files):
            raise InvalidDefinition(f"source file {number} is out of range")
        filename, data = self._files[number]
        return SourceRange(filename, lines.start.line, lines.end.line, data)
