"""The daemon's side of confined work: starts the fork server, sends it requests, reads the answers.

A worker that dies, or whose caller is cancelled, is an error of that one request. A fork server that dies is started
again for the next request.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.drivers.confine.failures import ArchiveRefused, WorkerFailed
from engine.drivers.linux import proc, syscalls

_SOCKET_FD = 3  # As in server.py, which the daemon does not load.
# Without `site`, an editable installation is not found by itself.
_HOME = Path(__file__).parents[3]
_BOOT = "import sys; sys.path[:0] = sys.argv[1:]; from engine.drivers.confine.server import main; main()"
_READ = 1 << 16
_ATTRIBUTES = syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOEXEC | syscalls.MOUNT_ATTR_NOSUID


@dataclass(frozen=True, slots=True)
class Request:
    """A job for a worker whose whole world is the tree `root`, or the mount namespace that `root` is the descriptor of.

    `fds` stay the caller's, as does a namespace.
    """

    job: str
    root: Path | int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    fds: Sequence[int] = ()


class Workers:
    """The fork server and what is asked of it."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._pid = 0
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the fork server, where it does not run. Raises WorkerFailed, OSError."""
        async with self._starting:
            if self._socket is None:
                self._socket, self._pid = await asyncio.to_thread(_spawn)

    async def close(self) -> None:
        """End the fork server and, with it, all workers."""
        async with self._starting:
            await self._end()

    async def _end(self) -> None:
        if self._socket is None:
            return
        self._socket.close()
        self._socket = None
        await asyncio.to_thread(os.waitpid, self._pid, 0)

    async def run(self, request: Request) -> Any:
        """Let a worker do the job; return its answer. Cancelled, the worker is killed.

        Raises ArchiveRefused, WorkerFailed, OSError.
        """
        for _ in range(2):
            await self.start()
            server = self._socket
            answer = await _ask(server, request)
            if answer:
                return _decoded(request.job, answer)
            # No worker has even begun: the fork server had died.
            await self._discard(server)
        raise WorkerFailed(f"{request.job}: no worker could be started")

    async def _discard(self, dead: socket.socket | None) -> None:
        async with self._starting:
            if self._socket is dead:
                await self._end()


class _Pipe:
    """A pipe whose ends are closed at the end of a block, if not before."""

    def __enter__(self) -> "_Pipe":
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        return self

    def close_reader(self) -> None:
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1

    def close_writer(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def __exit__(self, *_: object) -> None:
        self.close_writer()
        self.close_reader()


async def _ask(server: socket.socket | None, request: Request) -> bytes:
    """Send a request and return all that its worker writes: a blank when it begins, the answer when it is done."""
    with _Pipe() as lifeline, _Pipe() as answer:
        await _to_its_end(asyncio.to_thread(_send, server, request, (lifeline.reader, answer.writer)))
        lifeline.close_reader()
        answer.close_writer()
        return await _read_all(answer.reader)


def _spawn() -> tuple[socket.socket, int]:
    """Start the fork server, without `site` (it would load much); it finds modules where we do.

    Blocks until it is ready; call in a thread.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, open(os.devnull, "r+b", buffering=0) as null:  # noqa: PTH123
        found = (str(Path(entry).absolute()) for entry in (str(_HOME), *sys.path))
        argv = [sys.executable, "-I", "-S", "-c", _BOOT, *found]
        files = {0: null.fileno(), 1: null.fileno(), 2: 2, _SOCKET_FD: theirs.fileno()}
        pid = proc.spawn(argv, files, new_session=True)
    if not ours.recv(16):
        ours.close()
        os.waitpid(pid, 0)
        raise WorkerFailed("the fork server for confined work does not start; its standard error says why")
    return ours, pid


def _send(server: socket.socket | None, request: Request, ends: tuple[int, int]) -> None:
    """Pin the tree and send the request. Blocks; call in a thread."""
    if server is None:
        return
    tree = os.dup(request.root) if isinstance(request.root, int) else _cloned(request.root)
    try:
        namespace = isinstance(request.root, int)
        asked = {"job": request.job, "namespace": namespace, "arguments": dict(request.arguments)}
        message = json.dumps(asked).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(server, [message], [*ends, tree, *request.fds])
    finally:
        os.close(tree)


def _cloned(root: Path) -> int:
    """Return a mount of the one tree, without what is mounted in it, in no namespace: it exists only for the worker."""
    tree = syscalls.open_tree(root, syscalls.OPEN_TREE_CLONE)
    with contextlib.suppress(OSError):  # Linux 5.12; a hardening only.
        syscalls.mount_setattr(tree, _ATTRIBUTES)
    return tree


async def _to_its_end(work: Awaitable[None]) -> None:
    """Wait for work that uses descriptors of ours, which must stay open until it is done even if we are cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise


async def _read_all(fd: int) -> bytes:
    """Read a pipe to its end, on the loop."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    parts: list[bytes] = []
    os.set_blocking(fd, False)
    loop.add_reader(fd, _reader(fd, parts, ended))
    try:
        await ended
    finally:
        loop.remove_reader(fd)
    return b"".join(parts)


def _reader(fd: int, parts: list[bytes], ended: "asyncio.Future[None]") -> Callable[[], None]:
    def readable() -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(fd, _READ)
            parts.append(data)
            if not data and not ended.done():
                ended.set_result(None)

    return readable


def _decoded(job: str, answer: bytes) -> Any:
    if not answer.strip():
        raise WorkerFailed(f"{job}: the worker ended without an answer")
    reply = json.loads(answer)
    if "refused" in reply:
        raise ArchiveRefused(reply["refused"])
    if "errno" in reply:
        raise OSError(reply["errno"], reply["message"])
    if "failed" in reply:
        raise WorkerFailed(f"{job}: {reply['failed']}")
    return reply["done"]
