"""Trees of git repositories: `git://HOST/PATH#REF:SUBDIR`, with the whole address in an attribute."""

import asyncio
import base64
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import SourceOp
from engine.domain.builder.snapshot import Snapshot
from engine.domain.builder.solver.executors import Work
from engine.domain.builder.sources.trees import SourceTrees, record_of
from engine.drivers.git.repository import GitAccess, GitRepository, RefMissing

_KIND = "source.git.checkout"
_COPY = {
    "do": "copy",
    "source": 0,
    "dest": "/",
    "uid": 0,
    "gid": 0,
    "contents": True,
    "follow": True,
    "wildcard": False,
    "empty_wildcard": False,
    "create_dest": True,
    "unpack": False,
    "replace": False,
}


class GitSource:
    """Fetches repositories."""

    transient = False

    def __init__(self, trees: SourceTrees, scratch: Path) -> None:
        """`scratch` is a directory for what is on its way."""
        self._trees = trees
        self._scratch = scratch

    async def identify(self, work: Work) -> str:
        """Find out which commit is meant. Raises GitFailed, RefMissing."""
        operation = _operation(work)
        ref, subdir = _fragment(operation)
        async with self._repository(operation, work.job) as repository:
            commit = await repository.commit_of(ref)
        _require_checksum(operation.attrs.get("git.checksum", ""), commit)
        attrs = operation.attrs
        kept = [name for name in ("git.keepgitdir", "git.skipsubmodules") if attrs.get(name) == "true"]
        identity = f"git {_remote(operation)} {commit} {subdir} {' '.join(kept)}"
        work.job.runs[f"git {work.digest}"] = (identity, commit)
        return identity

    def known(self, work: Work) -> bool:
        """Tell whether an earlier build has made the tree."""
        return self._trees.find(work.job.runs[f"git {work.digest}"][0]) is not None

    async def load(self, work: Work) -> Snapshot:
        """Return the tree. Raises GitFailed, ArchiveRefused, OSError."""
        identity, commit = work.job.runs[f"git {work.digest}"]
        found = self._trees.find(identity)
        if found is not None:
            return found
        operation = _operation(work)
        ref, subdir = _fragment(operation)
        async with self._directory() as directory, self._repository(operation, work.job) as repository:
            submodules = operation.attrs.get("git.skipsubmodules") != "true"
            await repository.checkout(commit, ref, directory, submodules=submodules)
            action = {**_COPY, "path": f"/{subdir}"}
            if operation.attrs.get("git.keepgitdir") != "true":
                action["exclude"] = [".git", "**/.git"]
            record = record_of(identity, f"git snapshot for {_remote(operation)}#{commit}", _KIND)
            return await self._trees.make(record, [action], [directory])

    @asynccontextmanager
    async def _directory(self) -> AsyncIterator[Path]:
        path = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="git-", dir=self._scratch))
        try:
            yield path
        finally:
            await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)))

    @asynccontextmanager
    async def _repository(self, operation: SourceOp, job: Job) -> AsyncIterator[GitRepository]:
        async with AsyncExitStack() as stack:
            yield GitRepository(_remote(operation), await self._access(operation.attrs, job, stack))

    async def _access(self, attrs: Mapping[str, str], job: Job, stack: AsyncExitStack) -> GitAccess:
        if not (agent_id := attrs.get("git.mountsshsock", "")):
            return GitAccess(await _authorization(attrs, job))
        directory = await stack.enter_async_context(self._directory())
        await stack.enter_async_context(job.session.agent(agent_id, directory / "agent"))
        hosts = None
        if known := attrs.get("git.knownsshhosts", ""):
            hosts = directory / "known_hosts"
            await asyncio.to_thread(hosts.write_text, known)
        return GitAccess(agent=directory / "agent", known_hosts=hosts)


def _operation(work: Work) -> SourceOp:
    operation = work.vertex.operation
    assert isinstance(operation, SourceOp)
    return operation


def _remote(operation: SourceOp) -> str:
    return operation.attrs.get("git.fullurl") or operation.identifier.partition("#")[0]


def _fragment(operation: SourceOp) -> tuple[str, str]:
    """Return the name of the commit and the directory that are meant."""
    ref, _, subdir = operation.identifier.partition("#")[2].partition(":")
    return ref, subdir.strip("/")


def _require_checksum(wanted: str, commit: str) -> None:
    if wanted and not commit.startswith(wanted):
        raise RefMissing(wanted, f"expected checksum to match {wanted}, got {commit}")


async def _authorization(attrs: Mapping[str, str], job: Job) -> str:
    """Return the value of a header for the repository's server, made of what the client has."""
    host = urlsplit(attrs.get("git.fullurl", "")).hostname or ""
    header, token = attrs.get("git.authheadersecret", ""), attrs.get("git.authtokensecret", "")
    for name in (f"{header}.{host}", header) if header else ():
        if value := await job.session.secret(name):
            return value.decode()
    for name in (f"{token}.{host}", token) if token else ():
        if value := await job.session.secret(name):
            return "basic " + base64.b64encode(b"x-access-token:" + value).decode()
    return ""
