"""Single files of trees that a build makes, for those who plan it: Dockerfiles, ignore files."""

from engine.core.errors import NotFound
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import Edge
from engine.domain.builder.solver.solver import Solver
from engine.drivers.confine.confine import Confine

_LIMIT = 64 << 20


class FileMissing(NotFound):
    """The tree has no such file, or one that is too large to be read."""

    def __init__(self, path: str) -> None:
        super().__init__(f"open /{path.lstrip('/')}: no such file or directory")


class TreeReader:
    """Reads from trees."""

    def __init__(self, solver: Solver, confine: Confine) -> None:
        self._solver = solver
        self._confine = confine

    async def read_file(self, edge: Edge, path: str, job: Job) -> bytes:
        """Return a file's content; links are followed within the tree. Raises FileMissing, VertexFailed, OSError."""
        async with self._solver.tree(edge, job) as root:
            data = await self._confine.read_file(root, path, _LIMIT)
        if data is None:
            raise FileMissing(path)
        return data
