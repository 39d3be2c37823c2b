"""Copies of clients' directories, kept from build to build so that only what has changed is sent again.

Each copy has a key: the directory's name and what the client says to recognise it by. A copy is in use by one build at
a time, and unchanged as long; another build of the same key gets a copy of its own. Owns the directories below its
root, and throws away the copies that were used least lately.
"""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine.core import times
from engine.domain.builder.cache import new_id
from engine.domain.builder.usage import LOCAL, Usage

_KEPT = 16


@dataclass(eq=False, slots=True)
class _Copy:
    """One directory."""

    key: str
    path: Path
    name: str = ""
    created: int = field(default_factory=times.now)
    used: int = field(default_factory=times.now)
    uses: int = 0
    busy: bool = True
    valid: bool = True

    @property
    def id(self) -> str:
        """What it is called among the cache's records."""
        return self.path.name.partition(".")[2]


class Contexts:
    """All copies."""

    def __init__(self, root: Path, size: Callable[[Path], Awaitable[int]], kept: int = _KEPT) -> None:
        """`size` measures a tree."""
        self._root = root
        self._size = size
        self._kept = kept
        self._copies: list[_Copy] = []
        self._known = False
        self._removals: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def use(self, key: str, name: str) -> AsyncIterator[Path]:
        """Lend a directory, as the last build with the same key left it; an empty key's is thrown away afterwards.

        `name` is what people read of it.
        When the build fails in the middle of a transfer, what has come is kept: the receiver knows what is complete.
        Raises OSError.
        """
        await self._read()
        copy = self._find(key) or await self._make(key)
        copy.name, copy.uses = name, copy.uses + 1
        try:
            yield copy.path
        finally:
            copy.busy, copy.used = False, times.now()
            copy.valid = bool(key)
            self._collect()

    async def _read(self) -> None:
        """Find the copies of earlier daemons."""
        if not self._known:
            self._known = True
            for path in await asyncio.to_thread(_directories, self._root):
                key = path.name.partition(".")[0]
                self._copies.append(_Copy(key, path, busy=False, valid=key != _hash("")))

    def _find(self, key: str) -> _Copy | None:
        name = _hash(key)
        for copy in self._copies:
            if copy.key == name and copy.valid and not copy.busy and key:
                copy.busy = True
                return copy
        return None

    async def _make(self, key: str) -> _Copy:
        copy = _Copy(_hash(key), self._root / f"{_hash(key)}.{new_id()}")
        await asyncio.to_thread(copy.path.mkdir, 0o700, parents=True)
        self._copies.append(copy)
        return copy

    def _collect(self) -> None:
        idle = sorted((copy for copy in self._copies if not copy.busy), key=lambda copy: (copy.valid, copy.used))
        surplus = max(len(idle) - self._kept, sum(not copy.valid for copy in idle))
        for copy in idle[:surplus]:
            self._copies.remove(copy)
            task = asyncio.ensure_future(asyncio.to_thread(shutil.rmtree, copy.path, ignore_errors=True))
            self._removals.add(task)
            task.add_done_callback(self._removals.discard)

    async def usage(self) -> Sequence[Usage]:
        """Return what the copies take on the disk. Raises OSError."""
        await self._read()
        return [
            Usage(
                id=copy.id,
                kind=LOCAL,
                description=f"local source for {copy.name}" if copy.name else "local source",
                size=await self._size(copy.path),
                in_use=copy.busy,
                mutable=True,
                created=copy.created,
                used_at=copy.used,
                uses=copy.uses,
            )
            for copy in list(self._copies)
        ]

    async def remove(self, removed: Sequence[str]) -> None:
        """Throw away copies that are not in use."""
        for copy in self._copies:
            if copy.id in removed and not copy.busy:
                copy.valid = False
        self._collect()
        await self.close()

    async def close(self) -> None:
        """Wait for removals under way."""
        await asyncio.gather(*self._removals)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _directories(root: Path) -> list[Path]:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return sorted(root.iterdir())
