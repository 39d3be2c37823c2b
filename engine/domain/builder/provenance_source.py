"""Which lines of which files the steps of a provenance come from, as BuildKit says it. Pure."""

import base64
from collections.abc import Sequence
from typing import Any

from engine.domain.builder.llb.ops import SourceRange, Vertex


def places(vertices: Sequence[Vertex]) -> dict[str, Any]:
    """Return the lines of each step, and the files."""
    files: list[SourceRange] = []
    locations = {f"step{number}": _location(vertex, files) for number, vertex in enumerate(vertices)}
    infos = [
        {"filename": each.filename, "language": "Dockerfile", "data": base64.b64encode(each.data).decode()}
        for each in files
    ]
    return {"locations": locations, **({"infos": infos} if infos else {})}


def _location(vertex: Vertex, files: list[SourceRange]) -> dict[str, Any]:
    found = [_lines(each, files) for each in vertex.description.source]
    return {"locations": found} if found else {}


def _lines(lines: SourceRange, files: list[SourceRange]) -> dict[str, Any]:
    known = [(each.filename, each.data) for each in files]
    if (lines.filename, lines.data) not in known:
        files.append(lines)
        known.append((lines.filename, lines.data))
    number = known.index((lines.filename, lines.data))
    index = {"sourceIndex": number} if number else {}
    return {**index, "ranges": [{"start": {"line": lines.start}, "end": {"line": lines.end}}]}
