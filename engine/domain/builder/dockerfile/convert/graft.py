"""Puts a tree in the place of another in a graph, for trees that are not known before the graph is whole. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from engine.domain.builder.llb.ops import Edge, Vertex


def graft(edge: Edge, known: Mapping[Vertex, Edge]) -> Edge:
    """Return the edge, with other edges for all that come out of certain vertices."""
    made: dict[Vertex, Vertex] = {}
    pending = [edge.vertex]
    while pending:
        vertex = pending[-1]
        missing = [e.vertex for e in vertex.inputs if e.vertex not in made and e.vertex not in known]
        if missing and vertex not in made and vertex not in known:
            pending.extend(missing)
            continue
        pending.pop()
        if vertex not in made and vertex not in known:
            made[vertex] = _rebuilt(vertex, made, known)
    return _placed(edge, made, known)


def _rebuilt(vertex: Vertex, made: Mapping[Vertex, Vertex], known: Mapping[Vertex, Edge]) -> Vertex:
    inputs = [_placed(edge, made, known) for edge in vertex.inputs]
    same = all(new is old for new, old in zip(inputs, vertex.inputs, strict=True))
    return vertex if same else replace(vertex, inputs=inputs)


def _placed(edge: Edge, made: Mapping[Vertex, Vertex], known: Mapping[Vertex, Edge]) -> Edge:
    if edge.vertex in known:
        return known[edge.vertex]
    vertex = made[edge.vertex]
    return edge if vertex is edge.vertex else Edge(vertex, edge.output)
