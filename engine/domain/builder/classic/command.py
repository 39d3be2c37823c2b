"""RUN as the classic builder has it: in a container of the image, whose volumes take what is written to them. Pure."""

from dataclasses import replace

from engine.domain.builder.dockerfile.convert.stages import StageState
from engine.domain.builder.dockerfile.convert.state import make
from engine.domain.builder.llb.ops import (
    EMPTY,
    Description,
    Edge,
    ExecOp,
    FileAction,
    FileOp,
    MakeDirectory,
    Mount,
    Vertex,
)

MOUNT_POINTS = ("dev", "proc", "sys")
"""What a container's tree must have; a layer below the container's own has it where the image has not."""


def command_of(stage: StageState, tree: Edge, *, bare: bool) -> Edge:
    """Return a command that is run whatever other builds have run, and changes nothing in the image's volumes.

    `bare`: the image lacks mount points, which are made in a layer below that of the command.
    """
    vertex = tree.vertex
    operation, inputs = vertex.operation, list(vertex.inputs)
    assert isinstance(operation, ExecOp)
    mounts = list(operation.mounts)
    root = inputs[mounts[0].input] if mounts[0].input != EMPTY else None
    for path in _volumes(stage, {mount.dest for mount in mounts}):
        inputs.append(make(root, MakeDirectory(path, make_parents=True), Description(custom_name=f"VOLUME {path}")))
        mounts.append(Mount(path, len(inputs) - 1, EMPTY, selector=path))
    if bare:
        inputs.append(_with_mount_points(root))
        mounts[0] = replace(mounts[0], input=len(inputs) - 1)
    description = replace(vertex.description, ignore_cache=True)
    changed = replace(vertex, operation=replace(operation, mounts=mounts), inputs=inputs, description=description)
    return Edge(changed, tree.output)


def _volumes(stage: StageState, taken: set[str]) -> list[str]:
    volumes = sorted(stage.image.config.volumes or ())
    return [path for path in volumes if path.startswith("/") and path.strip("/") and path not in taken]


def _with_mount_points(root: Edge | None) -> Edge:
    inputs = [root] if root is not None else []
    actions = []
    for number, name in enumerate(MOUNT_POINTS):
        below = (0 if inputs else EMPTY) if number == 0 else len(inputs) + number - 1
        last = number == len(MOUNT_POINTS) - 1
        actions.append(FileAction(MakeDirectory(f"/{name}", make_parents=True), below, output=0 if last else EMPTY))
    return Edge(Vertex(FileOp(actions), inputs, description=Description(custom_name="container")))
