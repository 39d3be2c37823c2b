"""The exporters `local` and `tar`: a build's result as files on the client's disk, in a directory or in an archive."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from engine.core import times
from engine.core.errors import NotImplementedHere
from engine.domain.builder.builds import ExportTarget
from engine.domain.builder.exporters.assemble import PlatformResult, platform_results
from engine.domain.builder.exporters.attested_trees import AttestedTrees
from engine.domain.builder.exporters.image import flag
from engine.domain.builder.job import Job
from engine.domain.builder.progress import StatusEvent
from engine.domain.builder.result import FrontendResult
from engine.domain.builder.session import Outgoing
from engine.domain.builder.sources.resolve import vertex
from engine.domain.images.platforms import host
from engine.drivers.confine.confine import Confine
from engine.drivers.linux.pipes import output_of


class SeveralPlatforms(NotImplementedHere):
    """An archive holds one tree."""

    def __init__(self) -> None:
        super().__init__("the tar exporter takes one platform at a time")


class LocalExporter:
    """Sends directories."""

    def __init__(self, trees: AttestedTrees) -> None:
        self._trees = trees

    async def export(self, result: FrontendResult, target: ExportTarget, job: Job) -> Mapping[str, str]:
        """Send each platform's tree. Raises VertexFailed, WharfError, OSError."""
        parts = platform_results(result)
        split = flag(target.attrs, "platform-split", default=len(parts) > 1)
        async with vertex("exporting to client directory", job) as digest:
            for part in parts:
                what = f"copying files {part.name}" if len(parts) > 1 else "copying files"
                async with (
                    told(job, digest, what, "transferring") as sent,
                    self._trees.tree(part, result.attestations, job) as tree,
                ):
                    prefix = _directory(part) if split else ""
                    await job.session.send_tree(Outgoing(target.number, sent, prefix=prefix), tree)
        return {}


def _directory(part: PlatformResult) -> str:
    found = part.platform
    return "_".join(word for word in (found.os, found.architecture, found.variant) if word)


class TarExporter:
    """Sends archives."""

    def __init__(self, trees: AttestedTrees, confine: Confine) -> None:
        self._trees = trees
        self._confine = confine

    async def export(self, result: FrontendResult, target: ExportTarget, job: Job) -> Mapping[str, str]:
        """Send the tree. Raises VertexFailed, SeveralPlatforms, WharfError, OSError."""
        parts = platform_results(result)
        if len(parts) > 1:
            raise SeveralPlatforms
        part = parts[0] if parts else PlatformResult("", host(), None, b"")
        async with (
            vertex("exporting to client tarball", job) as digest,
            told(job, digest, "sending tarball", counted=False) as sent,
            self._trees.tree(part, result.attestations, job) as tree,
        ):
            await job.session.send_file(Outgoing(target.number, sent), self._archive(tree))
        return {}

    async def _archive(self, tree: Path) -> AsyncIterator[bytes]:
        async for piece in output_of(lambda output: self._confine.pack(tree, output)):
            yield piece


@asynccontextmanager
async def told(
    job: Job, digest: str, what: str, name: str = "", *, counted: bool = True
) -> AsyncIterator[Callable[[int], None]]:
    """Tell of a transfer; gives what is to be called with the bytes sent so far (told where counted)."""
    event = StatusEvent(digest, what, name, started=times.now())
    job.progress.send(event)
    size, last = 0, asyncio.get_running_loop().time()

    def sent(total: int) -> None:
        nonlocal size, last
        if not counted:
            return
        size, now = total, asyncio.get_running_loop().time()
        if now - last > 0.1:
            last = now
            job.progress.send(replace(event, current=total, timestamp=times.now()))

    yield sent
    done = times.now()
    job.progress.send(replace(event, current=size, timestamp=done, completed=done))
