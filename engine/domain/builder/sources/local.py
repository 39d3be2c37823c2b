"""A directory of the client's: the build context, the Dockerfile's directory, named local contexts."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.core import ids, times
from engine.domain.builder.llb.ops import SourceOp
from engine.domain.builder.progress import StatusEvent
from engine.domain.builder.session import SyncRequest
from engine.domain.builder.snapshot import Snapshot
from engine.domain.builder.solver.executors import Work


class LocalSource:
    """Asks the client for directories. A copy is kept as long as the job: others may copy from it meanwhile."""

    transient = True

    async def identify(self, work: Work) -> str:
        """Bring the directory. Nothing tells beforehand what it holds: only what is copied from it will count."""
        job, progress = work.job, _Transfer(work)
        path: Path = await job.resources.enter_async_context(job.session.directory(_request(work), progress.received))
        progress.done()
        job.runs[_key(work)] = path
        return f"local {ids.new_id()}"

    def known(self, work: Work) -> bool:
        """No directory is known: it may have changed."""
        return False

    async def load(self, work: Work) -> Snapshot:
        """Return the directory that `identify` brought."""
        return Snapshot(directory=work.job.runs[_key(work)])


class _Transfer:
    """Tells how much has come."""

    def __init__(self, work: Work) -> None:
        self._work = work
        name = _request(work).name
        self._status = StatusEvent("", f"transferring {name}:", "transferring", started=times.now())
        work.report(self._status)

    def received(self, total: int) -> None:
        self._status = replace(self._status, current=total, timestamp=times.now())
        self._work.report(self._status)

    def done(self) -> None:
        now = times.now()
        self._work.report(replace(self._status, timestamp=now, completed=now))


def _key(work: Work) -> str:
    return f"directory {work.digest}"


def _request(work: Work) -> SyncRequest:
    operation = work.vertex.operation
    assert isinstance(operation, SourceOp)
    attrs = operation.attrs
    return SyncRequest(
        name=operation.identifier.removeprefix("local://"),
        include=_patterns(attrs.get("local.includepattern", "")),
        exclude=_patterns(attrs.get("local.excludepatterns", "")),
        follow=_patterns(attrs.get("local.followpaths", "")),
        hint=attrs.get("local.sharedkeyhint", ""),
        session=attrs.get("local.session", ""),
    )


def _patterns(text: str) -> Sequence[str]:
    found = json.loads(text) if text else []
    return tuple(str(pattern) for pattern in found) if isinstance(found, list) else ()
