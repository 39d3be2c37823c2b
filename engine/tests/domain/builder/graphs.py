"""Graphs, a client and parts of the builder for tests."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.errors import NotFound
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import (
    CopyAction,
    Description,
    Edge,
    ExecOp,
    FileAction,
    FileOp,
    Meta,
    Mount,
    SourceOp,
    Vertex,
)
from engine.domain.builder.progress import Progress, VertexEvent


def source(name="base", scheme="test"):
    return Edge(Vertex(SourceOp(f"{scheme}://{name}")))


def run(below, command, *mounts, inputs=(), **description):
    operation = ExecOp(Meta(("sh", "-c", command)), (Mount("/", input=0, output=0), *mounts))
    return Edge(Vertex(operation, (below, *inputs), description=Description(**description)))


def copy(below, other, src="/a", **description):
    action = FileAction(CopyAction(src, "/", dir_copy_contents=True), input=0, secondary_input=1, output=0)
    return Edge(Vertex(FileOp((action,)), (below, other), description=Description(**description)))


@dataclass
class FakeSession:
    id: str = "session"
    directories: dict[str, Path] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def directory(self, request, transferred):
        if request.name not in self.directories:
            raise NotFound(request.name)
        transferred(1)
        yield self.directories[request.name]

    async def secret(self, secret_id):
        return None

    async def credentials(self, host):
        return None


def job(ref="job", **changes):
    return Job(ref, changes.pop("session", FakeSession()), Progress(), **changes)


def told(job, part):
    """The last event of the vertex whose name contains this."""
    events = [e for e in job.progress.events if isinstance(e, VertexEvent) and part in e.name]
    return events[-1]
