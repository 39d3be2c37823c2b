"""Secrets and agents of the client in a command's tree: in memory only, gone with the command, never in a layer."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from engine.core.errors import NotFound
from engine.domain.builder.failures import MissingSecret
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import Mount, Protected, SecretEnv
from engine.drivers.linux import syscalls

_MOST = 16 << 20
_FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@asynccontextmanager
async def memory(path: Path) -> AsyncIterator[Path]:
    """Give a directory that is in memory only. Raises OSError."""
    await asyncio.to_thread(_mount, path)
    try:
        yield path
    finally:
        await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(_unmount, path)))


def _mount(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True)
    syscalls.mount("tmpfs", path, "tmpfs", _FLAGS, f"mode=0700,size={_MOST}")


def _unmount(path: Path) -> None:
    syscalls.umount(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)


async def secret_file(mount: Mount, path: Path, job: Job) -> bool:
    """Write a secret; False where the client has none and none is needed. Raises MissingSecret, OSError."""
    protected = mount.protected or Protected(mount.dest)
    data = await job.session.secret(protected.id)
    if data is None:
        if protected.optional:
            return False
        raise MissingSecret(protected.id)
    await asyncio.to_thread(_write, path, data, protected)
    return True


def _write(path: Path, data: bytes, protected: Protected) -> None:
    fd = os.open(path, _FILE, 0o600)
    try:
        os.write(fd, data)
        os.fchown(fd, protected.uid, protected.gid)
        os.fchmod(fd, protected.mode & 0o777)
    finally:
        os.close(fd)


async def agent_socket(mount: Mount, path: Path, job: Job, stack: AsyncExitStack) -> bool:
    """Serve an agent; False where the client has none and none is needed. Raises NotFound, OSError."""
    protected = mount.protected or Protected("default")
    try:
        await stack.enter_async_context(job.session.agent(protected.id, path))
    except NotFound:
        if protected.optional:
            return False
        raise
    await asyncio.to_thread(_own, path, protected)
    return True


def _own(path: Path, protected: Protected) -> None:
    os.chown(path, protected.uid, protected.gid)
    path.chmod(protected.mode & 0o777)


async def secret_variables(wanted: Sequence[SecretEnv], job: Job) -> list[str]:
    """Return secrets as environment entries. Raises MissingSecret."""
    found = []
    for each in wanted:
        data = await job.session.secret(each.id)
        if data is not None:
            found.append(f"{each.name}={data.decode(errors='surrogateescape')}")
        elif not each.optional:
            raise MissingSecret(each.id)
    return found
