"""What a command sees in its tree besides its root: trees, cache directories, memory, secrets, agents' sockets."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.core.model.container import Mount as RequestedMount
from engine.core.model.container import MountPoint, TmpfsOptions
from engine.domain.builder.failures import of_process
from engine.domain.builder.llb.ops import EMPTY, ExecOp, Mount, MountType, Protected
from engine.domain.builder.ops.cache_mounts import CacheMounts
from engine.domain.builder.ops.protected import agent_socket, memory, secret_file
from engine.domain.builder.snapshot import Snapshot, Snapshots
from engine.domain.builder.solver.executors import Work
from engine.domain.containers.bind_sources import fitted
from engine.domain.containers.remap import Remap
from engine.drivers.confine.pin import pin
from engine.drivers.storage.work_trees import WorkTree

_TMPFS = TmpfsOptions(options=[["exec"], ["dev"]])


@dataclass(slots=True)
class Prepared:
    """A command's mounts, and the trees of which the changes are wanted, by number of output, with what they lie on."""

    points: list[MountPoint] = field(default_factory=list)
    changed: dict[int, tuple[WorkTree, Snapshot]] = field(default_factory=dict)


class MountPreparer:
    """Prepares one command's mounts; everything ends with the stack."""

    def __init__(self, snapshots: Snapshots, caches: CacheMounts, work: Work, directory: Path, remap: Remap) -> None:
        self._remap = remap.data
        self._snapshots = snapshots
        self._caches = caches
        self._work = work
        self._directory = directory
        self._memory: Path | None = None

    async def prepare(self, inputs: Sequence[Snapshot], stack: AsyncExitStack) -> Prepared:
        """Prepare all but the root. Raises WharfError, OSError."""
        operation = self._work.vertex.operation
        assert isinstance(operation, ExecOp)
        prepared = Prepared()
        for number, mount in enumerate(operation.mounts):
            if mount.dest != "/":
                point = await self._point(number, mount, inputs, prepared, stack)
                prepared.points += [point] if point is not None else []
        return prepared

    async def _point(
        self, number: int, mount: Mount, inputs: Sequence[Snapshot], prepared: Prepared, stack: AsyncExitStack
    ) -> MountPoint | None:
        base = inputs[mount.input] if mount.input != EMPTY else None
        if mount.kind is MountType.BIND:
            source = await self._tree(mount, base, prepared, stack)
            return await self._bound(number, mount, source)
        if mount.kind is MountType.CACHE:
            args = self._work.vertex.operation.meta.args if isinstance(self._work.vertex.operation, ExecOp) else ()
            cache = await stack.enter_async_context(self._caches.use(mount, base, args))
            return await self._bound(number, mount, cache if self._remap is None else self._remap.path(cache))
        if mount.kind is MountType.TMPFS:
            return _in_memory(mount)
        return await self._protected(number, mount, stack)

    async def _tree(self, mount: Mount, base: Snapshot | None, prepared: Prepared, stack: AsyncExitStack) -> Path:
        base = base or Snapshot()
        if mount.readonly:
            return await stack.enter_async_context(self._snapshots.view(base, mapped=self._remap is not None))
        tree = await stack.enter_async_context(self._snapshots.writable(base))
        if self._remap is not None:
            await self._snapshots.show_mapped(tree, base)
        if mount.output != EMPTY:
            prepared.changed[mount.output] = (tree, base)
        return tree.merged

    async def _bound(self, number: int, mount: Mount, source: Path) -> MountPoint:
        """A part of a tree is pinned: others may change the tree at the same time."""
        if mount.selector.strip("/"):
            target = self._directory / "pins" / str(number)
            assert isinstance(self._work.vertex.operation, ExecOp)
            with of_process(self._work.vertex.operation.meta.args):
                await asyncio.to_thread(pin, source, f"/{mount.selector.strip('/')}", target)
            source = target
        return await asyncio.to_thread(fitted, _bind(source, mount, rw=not mount.readonly))

    async def _protected(self, number: int, mount: Mount, stack: AsyncExitStack) -> MountPoint | None:
        if self._memory is None:
            self._memory = await stack.enter_async_context(memory(self._directory / "protected"))
        path, job, mount = self._memory / str(number), self._work.job, self._owned(mount)
        if mount.kind is MountType.SECRET:
            present = await secret_file(mount, path, job)
        else:
            present = await agent_socket(mount, path, job, stack)
        if not present:
            return None
        # A socket on a read-only mount can be connected to all the same.
        return await asyncio.to_thread(fitted, _bind(path, mount, rw=False))

    def _owned(self, mount: Mount) -> Mount:
        """Return the mount with its owner as the host sees it: memory has no mapped mounts. Raises NotMapped."""
        if self._remap is None:
            return mount
        protected = mount.protected or Protected(mount.dest if mount.kind is MountType.SECRET else "default")
        uid, gid = self._remap.mapping.outside(protected.uid, protected.gid)
        return replace(mount, protected=replace(protected, uid=uid, gid=gid))


def _bind(source: Path, mount: Mount, *, rw: bool) -> MountPoint:
    return MountPoint(type="bind", source=str(source), destination=mount.dest, rw=rw, propagation="rprivate")


def _in_memory(mount: Mount) -> MountPoint:
    options = TmpfsOptions(size_bytes=mount.tmpfs_size, options=_TMPFS.options)
    spec = RequestedMount(type="tmpfs", target=mount.dest, tmpfs_options=options)
    return MountPoint(type="tmpfs", destination=mount.dest, rw=not mount.readonly, spec=spec)
