"""Work on trees that others filled: images' layers, containers' filesystems, volumes.

What walks a tree runs in a confined worker process; a single file or directory is reached with `openat2` from a thread
(rooted.py). No name from an image or a container is ever resolved against the host's root.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.drivers.confine import rooted
from engine.drivers.confine.archives import Archives
from engine.drivers.confine.workers import Request, Workers
from engine.drivers.linux import syscalls

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A layer: the digest and size of the plain archive, and the bytes that the tree takes on the disk."""

    diff_id: str
    archive_size: int
    size: int


class Confine:
    """Everything that the daemon does in trees.

    The fork server starts with the first piece of work, in some 40 ms: an idle daemon is 8 MiB smaller without.
    """

    def __init__(self) -> None:
        self._workers = Workers()
        self.archives = Archives(self._workers)

    async def close(self) -> None:
        """End the fork server and all work in progress."""
        await self._workers.close()

    async def read_file(self, root: Path, path: str, limit: int) -> bytes | None:
        """Return a file's content; None where it is missing, not a regular file, or larger than `limit` bytes.

        Links are followed inside `root`. Raises OSError where `root` cannot be opened or reading fails.
        """
        return await asyncio.to_thread(rooted.read_file, root, path, limit)

    async def ensure_directory(self, root: Path, path: str, uid: int, gid: int) -> None:
        """Make a directory with those above it, mode 0755, where missing. Raises NotADirectory, OSError."""
        await asyncio.to_thread(rooted.ensure_directory, root, path, uid, gid)

    async def unpack(
        self, source: Path | int, compression: str, target: Path, parents: Sequence[Path] = ()
    ) -> Unpacked:
        """Unpack a layer into an empty tree. Raises ArchiveRefused, WorkerFailed, OSError.

        `source` is a file, or a descriptor (kept open) that is read from its present place to its end: a pipe may still
        be fed. Its file offset tells how far the work is. `compression` is what the media type claims; the first bytes
        decide. `parents` are the trees below, the uppermost first: directories that the archive only implies look like
        theirs.
        """
        with ExitStack() as stack:
            fds = [source if isinstance(source, int) else _opened(stack, source, os.O_RDONLY | os.O_CLOEXEC)]
            fds += [_opened(stack, parent, _DIRECTORY) for parent in parents]
            return Unpacked(**await self._workers.run(Request("unpack", target, fds=fds)))

    async def copy_up(self, root: Path, path: str, target: Path) -> None:
        """Copy what a container's tree has at `path` into a directory, where that is empty and the tree has anything.

        Raises OSError, WorkerFailed.
        """
        with ExitStack() as stack:
            into = await asyncio.to_thread(syscalls.open_tree, target, syscalls.OPEN_TREE_CLONE)
            stack.callback(os.close, into)
            await self._workers.run(Request("copy_up", root, {"path": path}, [into]))

    async def tree_size(self, tree: Path) -> int:
        """Return the bytes of all that is below a directory and is none. Raises OSError, WorkerFailed."""
        return int(await self._workers.run(Request("content_size", tree)))

    async def disk_usage(self, tree: Path) -> int:
        """Return the bytes that a tree takes on the disk. Raises OSError, WorkerFailed."""
        return int(await self._workers.run(Request("disk_usage", tree)))

    async def pack(self, tree: Path, output: int, latest: int | None = None) -> int:
        """Write a layer's tree as a tar archive to a descriptor; return the bytes on the disk. Raises OSError.

        Nothing in it is younger than `latest`, in seconds since the epoch.
        """
        answer = await self._workers.run(Request("pack", tree, {"latest": latest}, [output]))
        return int(answer["size"])

    async def fingerprint(self, tree: Path, selections: Sequence[Mapping[str, Any]]) -> str:
        """Return the digest (hex digits) of what copies would copy. Raises ArchiveRefused where it is missing, OSError.

        A selection is as in selection.py.
        """
        request = Request("fingerprint", tree, {"selections": [dict(s) for s in selections]})
        return str(await self._workers.run(request))

    async def digests(self, tree: Path) -> list[tuple[str, str]]:
        """Return path and SHA-256 (hex digits) of each file's content. Raises OSError."""
        return [(path, digest) for path, digest in await self._workers.run(Request("digests", tree, {}))]

    async def file_op(self, tree: Path, actions: Sequence[Mapping[str, Any]], sources: Sequence[Path | int]) -> None:
        """Do a build step's file operations (file_op.py) in a tree. Raises ArchiveRefused, OSError.

        `sources` are trees to copy from, or descriptors of new files' content; actions name them by number.
        """
        with ExitStack() as stack:
            fds = [s if isinstance(s, int) else _opened(stack, s, _DIRECTORY) for s in sources]
            await self._workers.run(Request("file_op", tree, {"actions": [dict(a) for a in actions]}, fds))


def _opened(stack: ExitStack, path: Path, flags: int) -> int:
    fd = os.open(path, flags)
    stack.callback(os.close, fd)
    return fd
