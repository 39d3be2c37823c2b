"""`RUN --mount=type=cache`: directories that outlive builds. Those that nobody uses can be pruned.

`shared` ones are used by several commands at the same time, `locked` ones by one after another; of a `private` one
that is in use another one is made.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from engine.core import times
from engine.domain.builder.cache import BuildCache, CacheRecord, new_id
from engine.domain.builder.llb.ops import CacheSharing, Mount
from engine.domain.builder.snapshot import Snapshot, Snapshots
from engine.drivers.linux.removal import remove_tree

KIND = "exec.cachemount"
_MOST = 1000
_SEED = {
    "do": "copy",
    "source": 0,
    "path": "/",
    "dest": "/",
    "contents": True,
    "follow": False,
    "wildcard": False,
    "empty_wildcard": True,
    "create_dest": True,
    "unpack": False,
    "replace": False,
}


class CacheMounts:
    """The directories below one root, each with a record in the build cache."""

    def __init__(self, root: Path, cache: BuildCache, snapshots: Snapshots) -> None:
        self._root = root
        self._cache = cache
        self._snapshots = snapshots
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._making = asyncio.Lock()

    async def start(self) -> None:
        """Make the root; delete directories that have no record."""
        known = {record.directory for record in self._cache.all() if record.directory}
        await asyncio.to_thread(self._prepare, known)

    def _prepare(self, known: set[str]) -> None:
        """Blocks; call in a thread."""
        self._root.mkdir(mode=0o711, parents=True, exist_ok=True)
        for entry in list(self._root.iterdir()):
            if entry.name not in known:
                remove_tree(entry)

    @asynccontextmanager
    async def use(self, mount: Mount, base: Snapshot | None, args: Sequence[str]) -> AsyncIterator[Path]:
        """Lend the directory of a cache mount; a new one begins with what `base` holds. Raises OSError."""
        name = _name(mount, base)
        if mount.sharing is CacheSharing.LOCKED:
            async with self._locks[name], self._lent(name, mount, base, args) as path:
                yield path
        else:
            async with self._lent(name, mount, base, args) as path:
                yield path

    @asynccontextmanager
    async def _lent(self, name: str, mount: Mount, base: Snapshot | None, args: Sequence[str]) -> AsyncIterator[Path]:
        async with self._making:
            record = self._found(name, mount.sharing) or await self._made(name, mount, base, args)
            self._cache.in_use[record.id] += 1
        try:
            yield self._root / record.directory
        finally:
            self._cache.in_use[record.id] -= 1

    def _found(self, name: str, sharing: CacheSharing) -> CacheRecord | None:
        for key in _keys(name):
            record = self._cache.peek(key)
            if record is None:
                return None
            if sharing is not CacheSharing.PRIVATE or not self._cache.in_use[record.id]:
                return self._cache.find(key)
        return None

    async def _made(self, name: str, mount: Mount, base: Snapshot | None, args: Sequence[str]) -> CacheRecord:
        directory = secrets.token_hex(16)
        path = self._root / directory
        await asyncio.to_thread(path.mkdir, 0o755)
        if base is not None:
            async with self._snapshots.view(base) as seed:
                await self._snapshots.confine.file_op(path, [_SEED], [seed])
        now = times.now()
        record = CacheRecord(
            id=new_id(),
            key=next(key for key in _keys(name) if self._cache.peek(key) is None),
            kind=KIND,
            description=_description(mount, args),
            directory=directory,
            created=now,
            used_at=now,
        )
        self._cache.add(record, ())
        await self._cache.write()
        return record

    async def size(self, record: CacheRecord) -> int:
        """Return the bytes that a directory takes on the disk."""
        return await self._snapshots.confine.disk_usage(self._root / record.directory)

    async def delete(self, record: CacheRecord) -> None:
        """Delete the directory of a record that is forgotten. Raises OSError."""
        await asyncio.to_thread(remove_tree, self._root / record.directory)


def _name(mount: Mount, base: Snapshot | None) -> str:
    below = ",".join(layer.id for layer in base.layers) if base is not None else ""
    return f"cache {mount.cache_id or mount.dest} {below}"


def _keys(name: str) -> Sequence[str]:
    return [f"{name}#{number}" for number in range(_MOST)]


def _description(mount: Mount, args: Sequence[str]) -> str:
    named = f' with id "{mount.cache_id}"' if mount.cache_id and mount.cache_id != mount.dest else ""
    return f"cached mount {mount.dest} from exec {' '.join(args)}{named}"
