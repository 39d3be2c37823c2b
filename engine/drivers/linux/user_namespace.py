"""User namespaces with a given mapping: to make id-mapped mounts with, and to run programs in."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from engine.core.model.id_mapping import IdMapping, IdRange
from engine.drivers.linux import proc


async def open_user_namespace(mapping: IdMapping) -> int:
    """Return a descriptor of a new user namespace. Raises OSError."""
    async with process_inside(mapping) as pid:
        return await asyncio.to_thread(os.open, f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


@asynccontextmanager
async def process_inside(mapping: IdMapping, *others: str) -> AsyncIterator[int]:
    """Give a process in a new user namespace, and in new ones of `others` (`--net`) that belong to it. Raises OSError.

    A namespace needs a process while its mapping is written: a program that copies its input to its output, whose first
    output says that it is inside. It ends with its input.
    """
    with contextlib.ExitStack() as pipes:
        source, to_program = _pipe(pipes)
        answer, from_program = _pipe(pipes)
        pid = await proc.start(["unshare", "--user", *others, "cat"], {0: source, 1: from_program, 2: from_program})
        try:
            os.write(to_program, b"x")
            if await asyncio.to_thread(os.read, answer, 1) != b"x":
                raise OSError("no user namespace can be made on this host")
            await asyncio.to_thread(_map, pid, mapping)
            yield pid
        finally:
            pipes.close()
            await proc.reap(pid)


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe2(os.O_CLOEXEC)
    for end in ends:
        stack.callback(os.close, end)
    return ends


def _map(pid: int, mapping: IdMapping) -> None:
    """Blocks; call in a thread."""
    process = Path(f"/proc/{pid}")
    (process / "uid_map").write_text(_lines(mapping.uids))
    (process / "gid_map").write_text(_lines(mapping.gids))


def _lines(ranges: Sequence[IdRange]) -> str:
    return "".join(f"{r.inside} {r.outside} {r.size}\n" for r in ranges)
