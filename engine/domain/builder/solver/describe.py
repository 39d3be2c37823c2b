"""What people are told a vertex is. Pure."""

from engine.domain.builder.llb.ops import (
    EMPTY,
    CopyAction,
    ExecOp,
    FileAction,
    FileOp,
    MakeDirectory,
    MakeFile,
    MakeSymlink,
    MergeOp,
    Remove,
    SourceOp,
    Vertex,
)


def name_of(vertex: Vertex) -> str:
    """Return a vertex's name: what the frontend calls it, else what it does."""
    if vertex.description.custom_name:
        return vertex.description.custom_name
    operation = vertex.operation
    if isinstance(operation, SourceOp):
        return operation.identifier
    if isinstance(operation, ExecOp):
        return " ".join(operation.meta.args)
    if isinstance(operation, FileOp):
        return ", ".join(_action(action) for action in operation.actions)
    return "merge" if isinstance(operation, MergeOp) else "diff"


def _action(action: FileAction) -> str:
    done = action.action
    if isinstance(done, CopyAction):
        return f"copy {done.src} {done.dest}"
    if isinstance(done, MakeSymlink):
        return f"symlink {done.old} {done.new}"
    words = {MakeFile: "mkfile", MakeDirectory: "mkdir", Remove: "rm"}
    return f"{words[type(done)]} {done.path}"


def record_of(vertex: Vertex, output: int) -> str:
    """Return how the cache record of an output is described."""
    operation = vertex.operation
    if isinstance(operation, ExecOp):
        mount = next((m for m in operation.mounts if m.output == output), None)
        return f"mount {mount.dest if mount else '/'} from exec {' '.join(operation.meta.args)}"
    return name_of(vertex)


def output_count(vertex: Vertex) -> int:
    """Return how many trees a vertex makes."""
    operation = vertex.operation
    if isinstance(operation, ExecOp):
        return max((m.output + 1 for m in operation.mounts if m.output != EMPTY), default=0)
    if isinstance(operation, FileOp):
        return max((a.output + 1 for a in operation.actions if a.output != EMPTY), default=0)
    return 1
