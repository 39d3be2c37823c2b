"""Trees that go to the client's disk, with files in them that say where they come from: `provenance.json`."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from engine.core import digest as digests
from engine.domain.builder.exporters.assemble import PlatformResult
from engine.domain.builder.job import Job
from engine.domain.builder.provenance import PREDICATE, PREDICATE_V1, statement
from engine.domain.builder.result import Attestation
from engine.domain.builder.snapshot import Snapshot, Snapshots
from engine.domain.builder.solver.solver import Solver

_FILES = {PREDICATE: "provenance.json", PREDICATE_V1: "provenance.json"}
_MODE = 0o600


class AttestedTrees:
    """Gives such trees."""

    def __init__(self, solver: Solver, snapshots: Snapshots) -> None:
        self._solver = solver
        self._snapshots = snapshots

    @asynccontextmanager
    async def tree(
        self, part: PlatformResult, attestations: Mapping[str, Sequence[Attestation]], job: Job
    ) -> AsyncIterator[Path]:
        """Give a platform's tree to look at. Raises VertexFailed, WharfError, OSError."""
        said = attestations.get(part.name, attestations.get("", ()))
        if not said:
            async with self._solver.tree(part.edge, job) as path:
                yield path
            return
        snapshot = Snapshot() if part.edge is None else await self._solver.solve(part.edge, job)
        async with self._snapshots.writable(snapshot) as tree:
            await self._say(tree.merged, said)
            yield tree.merged

    async def _say(self, tree: Path, said: Sequence[Attestation]) -> None:
        found = await self._snapshots.confine.digests(tree)
        subjects = [(path, f"sha256:{digest}") for path, digest in found] or [("_", digests.of(b""))]
        for each in said:
            data = msgspec.json.format(msgspec.json.encode(statement(each, subjects)))
            await self._write(tree, _FILES[each.predicate_type], data)

    async def _write(self, tree: Path, name: str, data: bytes) -> None:
        action = {"do": "file", "path": f"/{name}", "source": 0, "mode": _MODE, "uid": 0, "gid": 0}
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
        with os.fdopen(fd, "wb", buffering=0) as file:
            file.write(data)
            file.seek(0)
            await self._snapshots.confine.file_op(tree, [action], [fd])
