"""What a step's result depends on, as a digest: the operation, and the keys or the content of what it works on. Pure.

As BuildKit has it: of what is copied, or only looked at by a command, the content counts, whatever it comes from.
"""

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from engine.core.model.image import Platform
from engine.domain.builder.llb.ops import EMPTY, CopyAction, ExecOp, FileAction, FileOp, MountType, Operation, Vertex

Selection = Mapping[str, Any]
"""What of a tree counts, in the words of `drivers/confine/selection.py`."""

Selections = Mapping[int, Sequence[Selection]]
"""Of which inputs the content counts, by number."""


def key_of(vertex: Vertex, inputs: Sequence[str]) -> str:
    """Return the key of a vertex whose inputs have these keys."""
    platform = vertex.platform or Platform()
    body = [type(vertex.operation).__name__, _essence(vertex.operation), platform, list(inputs)]
    return _digest(body)


def part_key(vertex: Vertex, number: int, key: str) -> str:
    """Return what stands for a vertex with a certain input, whatever its other inputs are."""
    return key_of(vertex, ["part", str(number), key])


def output_key(key: str, output: int) -> str:
    """Return the key of one of a vertex's outputs."""
    return key if output == 0 else _digest([key, output])


def source_key(identity: str) -> str:
    """Return the key of a tree from outside."""
    return _digest(["source", identity])


def image_layer_key(layer: str) -> str:
    """Return the key of an image's tree up to a layer, by the layer's id."""
    return f"layer {layer}"


def content_key(digest: str) -> str:
    """Return what stands for an input of which the content counts."""
    return f"content:{digest}"


def _digest(body: Any) -> str:
    return f"sha256:{hashlib.sha256(msgspec.json.encode(body, order='deterministic')).hexdigest()}"


def _essence(operation: Operation) -> Any:
    """Return an operation without what does not change its result."""
    if isinstance(operation, ExecOp):
        return replace(operation, meta=replace(operation.meta, proxy_env={}))
    if isinstance(operation, FileOp):
        return [_file_essence(action) for action in operation.actions]
    return operation


def _file_essence(action: FileAction) -> Any:
    done = action.action
    if isinstance(done, CopyAction):
        # What is copied counts by its content and its own name, not by where it lies.
        done = replace(done, src=posixpath.basename(done.src))
    return [type(done).__name__, replace(action, action=done)]


def content_selections(vertex: Vertex) -> Selections:
    """Return of which inputs the content counts rather than what they come from, and what of it."""
    if isinstance(vertex.operation, FileOp):
        return _copied(vertex.operation, len(vertex.inputs))
    if isinstance(vertex.operation, ExecOp):
        return _looked_at(vertex.operation)
    return {}


def _copied(operation: FileOp, inputs: int) -> Selections:
    found: dict[int, list[Selection]] = {}
    changed = {action.input for action in operation.actions}
    for action in operation.actions:
        source = action.secondary_input
        if not isinstance(action.action, CopyAction) or not 0 <= source < inputs or source in changed:
            continue
        found.setdefault(source, []).append(copy_selection(action.action))
    return found


def copy_selection(action: CopyAction) -> Selection:
    """Return what of its source a copy means."""
    return {
        "path": action.src,
        "wildcard": action.allow_wildcard,
        "follow": action.follow_symlink,
        "include": list(action.include_patterns),
        "exclude": list(action.exclude_patterns),
        "required": list(action.required_paths),
    }


def _looked_at(operation: ExecOp) -> Selections:
    found: dict[int, list[Selection]] = {}
    barred: set[int] = set()
    for mount in operation.mounts:
        if mount.input == EMPTY:
            continue
        if mount.kind is not MountType.BIND or mount.dest == "/" or not (mount.readonly or mount.output == EMPTY):
            barred.add(mount.input)
        found.setdefault(mount.input, []).append({"path": mount.selector or "/", "follow": True})
    return {number: selections for number, selections in found.items() if number not in barred}
