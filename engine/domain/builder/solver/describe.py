"""What people are told a vertex is. Pure."""

from engine.domain.builder.llb.ops import (
    EMPTY,
    CopyAction,
    DiffOp,
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


def lower_inputs(vertex: Vertex) -> list[int]:
    """Return the inputs whose layers are those of the vertex's own tree, below what it adds."""
    operation, count = vertex.operation, len(vertex.inputs)
    if isinstance(operation, ExecOp):
        found = [mount.input for mount in operation.mounts if mount.dest == "/"]
    elif isinstance(operation, FileOp):
        found = [action.input for action in operation.actions]
    elif isinstance(operation, DiffOp):
        found = [operation.upper]
    else:
        found = list(range(count))
    return [number for number in dict.fromkeys(found) if 0 <= number < count]
