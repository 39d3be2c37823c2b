"""RUN as the classic builder has it: in a container of the image, whose volumes take what is written to them. Pure."""

from dataclasses import replace

from engine.domain.builder.dockerfile.convert.stages import StageState
from engine.domain.builder.dockerfile.convert.state import make
from engine.domain.builder.llb.ops import EMPTY, Description, Edge, ExecOp, MakeDirectory, Mount


def command_of(stage: StageState, tree: Edge) -> Edge:
    """Return a command that is run whatever other builds have run, and changes nothing in the image's volumes."""
    vertex = tree.vertex
    operation, inputs = vertex.operation, list(vertex.inputs)
    assert isinstance(operation, ExecOp)
    mounts = list(operation.mounts)
    taken = {mount.dest for mount in mounts}
    root = inputs[mounts[0].input] if mounts[0].input != EMPTY else None
    for path in sorted(stage.image.config.volumes or ()):
        if path.startswith("/") and path.strip("/") and path not in taken:
            inputs.append(make(root, MakeDirectory(path, make_parents=True), Description(custom_name=f"VOLUME {path}")))
            mounts.append(Mount(path, len(inputs) - 1, EMPTY, selector=path))
    description = replace(vertex.description, ignore_cache=True)
    changed = replace(vertex, operation=replace(operation, mounts=mounts), inputs=inputs, description=description)
    return Edge(changed, tree.output)
