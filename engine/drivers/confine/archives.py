"""The daemon's side of `docker cp`: what a container sees, handed to a confined worker."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.drivers.confine.workers import Request, Workers
from engine.drivers.linux import syscalls
from engine.drivers.linux.lent import Lent

_CLONE = syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE


@dataclass(frozen=True, slots=True)
class ViewMount:
    """A directory or file of the host that is mounted in a stopped container's tree."""

    destination: str
    source: str


@dataclass(frozen=True, slots=True)
class View:
    """What a container sees: `root` is the descriptor of its mount namespace, or its tree, to mount `mounts` on."""

    root: int | Path
    mounts: Sequence[ViewMount] = ()


@dataclass(frozen=True, slots=True)
class PutOptions:
    """How an archive is put into a container: `owner` None keeps that of the archive.

    `volumes` are the places of volumes and whether they can be written, the innermost first.
    """

    owner: tuple[int, int] | None = None
    keep_kinds: bool = False
    readonly_root: bool = False
    volumes: Sequence[tuple[str, bool]] = ()


class Archives:
    """Looks into containers, takes archives out of them and puts archives into them."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def stat(self, view: View, path: str) -> Mapping[str, Any]:
        """Return `mode`, `size`, `mtime` (ns), `target` of what is at a path, or `missing`. Raises OSError."""
        return await self._run("archive_stat", view, {"path": path})

    async def get(self, view: View, path: str, name: str, output: int) -> None:
        """Write what is at a path to a descriptor, as an archive in which it is called `name`. Raises OSError."""
        await self._run("archive_get", view, {"path": path, "name": name}, output)

    async def put(self, view: View, path: str, source: int | Lent, options: PutOptions) -> Mapping[str, Any]:
        """Unpack the archive that a descriptor, or a lent body, gives into a directory.

        Returns nothing, or why not: `missing`, `not_directory`, `read_only`, `error`. Raises ArchiveRefused, OSError.
        """
        lent = None if isinstance(source, int) else {"length": source.length}
        arguments = {
            "path": path,
            "lent": lent,
            "owner": options.owner,
            "keep_kinds": options.keep_kinds,
            "readonly_root": options.readonly_root,
            "volumes": list(options.volumes),
        }
        if isinstance(source, int):
            return await self._run("archive_put", view, arguments, source)
        # A descriptor of our own, before anything is awaited: the client may leave, and the number be another's then.
        with _duplicate(source.socket) as client, _kept(source.early) as early:
            return await self._run("archive_put", view, arguments, early, client)

    async def changes(self, upper: Path, lowers: Sequence[Path]) -> list[tuple[str, int]]:
        """Return what a container's own layer changes in those below, the uppermost first. Raises OSError.

        Paths from the root, and 0 for changed, 1 for added, 2 for deleted.
        """
        with ExitStack() as stack:
            fds = await asyncio.to_thread(_open_all, stack, lowers)
            found = await self._workers.run(Request("changes", upper, fds=fds))
            return [(path, kind) for path, kind in found]

    async def _run(self, job: str, view: View, arguments: Mapping[str, Any], *fds: int) -> Mapping[str, Any]:
        with ExitStack() as stack:
            mounts = await asyncio.to_thread(_clone_all, stack, view.mounts)
            places = [mount.destination for mount in view.mounts]
            request = Request(job, view.root, {**arguments, "mounts": places}, [*mounts, *fds])
            answer: Mapping[str, Any] = await self._workers.run(request)
            return answer


@contextmanager
def _duplicate(fd: int) -> Iterator[int]:
    own = os.dup(fd)
    try:
        yield own
    finally:
        os.close(own)


@contextmanager
def _kept(data: bytes) -> Iterator[int]:
    """Give a file in memory that holds some bytes."""
    fd = os.memfd_create("early")
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _clone_all(stack: ExitStack, mounts: Sequence[ViewMount]) -> list[int]:
    """Return detached mounts of the sources, with what is mounted in them. Blocks; call in a thread."""
    fds = []
    for mount in mounts:
        fd = syscalls.open_tree(mount.source, _CLONE)
        stack.callback(os.close, fd)
        fds.append(fd)
    return fds


def _open_all(stack: ExitStack, directories: Sequence[Path]) -> list[int]:
    """Blocks; call in a thread."""
    fds = []
    for directory in directories:
        fds.append(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        stack.callback(os.close, fds[-1])
    return fds
