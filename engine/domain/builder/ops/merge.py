"""MergeOp and DiffOp: layers put above others, or taken from among them. Nothing is copied."""

from collections.abc import Sequence

from engine.domain.builder.failures import UnsupportedDiff
from engine.domain.builder.llb.ops import EMPTY, DiffOp
from engine.domain.builder.snapshot import Snapshot
from engine.domain.builder.solver.executors import Work


class Merging:
    """Puts trees above one another."""

    async def run(self, work: Work, inputs: Sequence[Snapshot]) -> Sequence[Snapshot]:
        """Return the tree of all inputs' layers, the last input's uppermost."""
        directory = next((tree.directory for tree in inputs if tree.directory), None)
        return [Snapshot(tuple(layer for tree in inputs for layer in tree.layers), directory)]


class Differing:
    """Takes what one tree has above another."""

    async def run(self, work: Work, inputs: Sequence[Snapshot]) -> Sequence[Snapshot]:
        """Return the layers of the upper tree that the lower has not. Raises UnsupportedDiff for unrelated trees."""
        operation = work.vertex.operation
        assert isinstance(operation, DiffOp)
        lower = Snapshot() if operation.lower == EMPTY else inputs[operation.lower]
        upper = Snapshot() if operation.upper == EMPTY else inputs[operation.upper]
        shared = len(lower.layers)
        if upper.layers[:shared] != lower.layers or upper.directory != lower.directory:
            raise UnsupportedDiff
        return [Snapshot(upper.layers[shared:])]
