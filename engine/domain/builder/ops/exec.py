"""Commands: each runs as a container of its own in its tree, in the runtime, the network and the confinement of others.

Everything that is made for a command is below one directory of its id, so that what a killed daemon leaves is found.
"""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.core import ids
from engine.core.errors import NotImplementedHere
from engine.core.model.container import HostConfig
from engine.domain.builder.failures import ProcessFailed, of_process
from engine.domain.builder.llb.ops import EMPTY, ExecOp, Mount
from engine.domain.builder.ops.cache_mounts import CacheMounts
from engine.domain.builder.ops.protected import secret_variables
from engine.domain.builder.ops.step_log import StepLog
from engine.domain.builder.ops.step_mounts import MountPreparer, Prepared
from engine.domain.builder.ops.step_networks import Namespaces, StepNetworks, resolves_names
from engine.domain.builder.ops.step_spec import Step, hosts_text, shared_with_host, step_spec
from engine.domain.builder.snapshot import Snapshot, Snapshots
from engine.domain.builder.solver.executors import Work
from engine.domain.containers import etc_files
from engine.domain.containers.host import Host
from engine.domain.containers.merge import Defaults
from engine.domain.containers.remap import NO_REMAP, Remap, require_allowed
from engine.domain.containers.sandbox import ResolverDefaults, host_resolver
from engine.domain.containers.users import ResolvedUser, resolve_user
from engine.drivers.confine.pin import unpin_all
from engine.drivers.confine.stubs import Stub, find_missing, real_places, remove_stubs
from engine.drivers.linux import syscalls
from engine.drivers.runtime import foreground
from engine.drivers.runtime.foreground import Bundle
from engine.drivers.runtime.oci import Runtimes
from engine.drivers.storage.work_trees import WorkTree

log = logging.getLogger(__name__)
_ACCOUNT_FILE_LIMIT = 8 << 20


class DevicesUnsupported(NotImplementedHere):
    """A command asks for devices by their CDI names."""

    def __init__(self) -> None:
        super().__init__("devices of RUN --device are not supported")


class NoRoot(NotImplementedHere):
    """A command without a tree."""

    def __init__(self) -> None:
        super().__init__("no rootfs mount found")


@dataclass(frozen=True, slots=True)
class StepHost:
    """What commands run on: the host, its runtimes, the daemon's defaults and name servers, a directory for bundles.

    `remap`: the user namespace that they get.
    """

    host: Host
    runtimes: Runtimes
    defaults: Defaults
    resolver: ResolverDefaults
    directory: Path
    remap: Remap = NO_REMAP


class Commands:
    """Runs commands."""

    def __init__(self, snapshots: Snapshots, caches: CacheMounts, networks: StepNetworks, around: StepHost) -> None:
        self._snapshots = snapshots
        self._caches = caches
        self._networks = networks
        self._around = around

    async def run(self, work: Work, inputs: Sequence[Snapshot]) -> Sequence[Snapshot]:
        """Run a command; return the trees of all outputs. Raises ProcessFailed, WharfError, OSError."""
        operation = work.vertex.operation
        assert isinstance(operation, ExecOp)
        if operation.devices:
            raise DevicesUnsupported
        async with AsyncExitStack() as stack:
            step_id = ids.new_id()
            directory = self._around.directory / step_id
            stack.push_async_callback(asyncio.to_thread, _remove, directory)
            await asyncio.to_thread(directory.mkdir, 0o700)
            return await _Run(self, work, step_id, directory).run(inputs, stack)

    async def sweep(self) -> None:
        """Kill and remove what a killed daemon has left. For the daemon's start, before trees are removed."""
        await asyncio.to_thread(self._around.directory.mkdir, mode=0o700, parents=True, exist_ok=True)
        for directory in list(self._around.directory.iterdir()):
            for runtime in self._around.runtimes.all():
                await foreground.kill(runtime, directory.name)
            await asyncio.to_thread(_remove, directory)

    # What a run asks for.

    def mounts(self, work: Work, directory: Path) -> MountPreparer:
        """Return what prepares a command's mounts."""
        return MountPreparer(self._snapshots, self._caches, work, directory, self._around.remap)

    @property
    def snapshots(self) -> Snapshots:
        """The trees."""
        return self._snapshots

    @property
    def networks(self) -> StepNetworks:
        """The networks."""
        return self._networks

    @property
    def around(self) -> StepHost:
        """What commands run on."""
        return self._around


class _Run:
    """One command."""

    def __init__(self, commands: Commands, work: Work, step_id: str, directory: Path) -> None:
        assert isinstance(work.vertex.operation, ExecOp)
        self._commands = commands
        self._snapshots = commands.snapshots
        self._around = commands.around
        self._work = work
        self._operation: ExecOp = work.vertex.operation
        self._id = step_id
        self._directory = directory

    async def run(self, inputs: Sequence[Snapshot], stack: AsyncExitStack) -> Sequence[Snapshot]:
        root = self._root()
        if self._around.remap.mapping is not None:
            require_allowed(shared_with_host(self._operation, self._work.job.host_config))
        base = inputs[root.input] if root.input != EMPTY else Snapshot()
        mounting = stack.enter_async_context(self._snapshots.writable(base))
        limits = self._work.job.host_config
        lending = stack.enter_async_context(
            self._commands.networks.use(self._operation.network, limits.network_mode, spoiled=self._operation.insecure)
        )
        tree, namespaces = await _both(mounting, lending)
        prepared = await self._commands.mounts(self._work, self._directory).prepare(inputs, stack)
        with of_process(self._operation.meta.args):
            user, stubs = await asyncio.gather(self._user(tree), self._made_ready(tree, prepared))
        await asyncio.to_thread(self._write_etc, namespaces.network, limits)
        if self._around.remap.mapping is not None:  # Until here it was about files as they are on the disk.
            await self._snapshots.show_mapped(tree, base)
        step = Step(
            id=self._id,
            operation=self._operation,
            root=tree.merged,
            user=user,
            mounts=prepared.points,
            namespaces=namespaces,
            hosts=self._directory / "hosts",
            resolv_conf=self._directory / "resolv.conf",
            variables=await secret_variables(self._operation.secret_env, self._work.job),
            readonly_root=root.readonly,
        )
        await self._execute(step)
        await self._snapshots.unmount(tree)
        await asyncio.to_thread(remove_stubs, tree.upper, stubs)
        if root.output != EMPTY:
            prepared.changed[root.output] = (tree, base)
        return [
            prepared.changed[number][1].with_layer(await self._snapshots.commit(prepared.changed[number][0]))
            for number in sorted(prepared.changed)
        ]

    def _root(self) -> Mount:
        for mount in self._operation.mounts:
            if mount.dest == "/":
                return mount
        raise NoRoot

    async def _user(self, tree: WorkTree) -> ResolvedUser:
        """Resolve the user by the tree's own account files. Raises UnableToFindUser and its like."""
        read = self._snapshots.confine.read_file
        passwd, group = await asyncio.gather(
            read(tree.merged, "/etc/passwd", _ACCOUNT_FILE_LIMIT), read(tree.merged, "/etc/group", _ACCOUNT_FILE_LIMIT)
        )
        return resolve_user(self._operation.meta.user, passwd or b"", group or b"")

    async def _made_ready(self, tree: WorkTree, prepared: Prepared) -> list[Stub]:
        """Make the working directory; note what the runtime will make only to mount on it."""
        if self._operation.meta.cwd not in ("", "/"):
            await self._snapshots.confine.ensure_directory(tree.merged, self._operation.meta.cwd, 0, 0)
        # They stay, as with dockerd; crun would give /dev a mode of its own.
        for stub in await asyncio.to_thread(find_missing, tree.merged, ["/dev", "/proc", "/sys"]):
            await self._snapshots.confine.ensure_directory(tree.merged, stub.names[0], 0, 0)
        # Runtimes differ in what they make of links that lead nowhere.
        real = await asyncio.to_thread(real_places, tree.merged, [point.destination for point in prepared.points])
        prepared.points = [
            msgspec.structs.replace(point, destination=place)
            for point, place in zip(prepared.points, real, strict=True)
        ]
        places = ["/etc/hosts", "/etc/resolv.conf", *real]
        return await asyncio.to_thread(find_missing, tree.merged, places)

    def _write_etc(self, netns: str | None, limits: HostConfig) -> None:
        """Blocks; call in a thread."""
        meta, defaults = self._operation.meta, self._around.resolver
        extra = () if meta.extra_hosts else limits.extra_hosts or ()
        (self._directory / "hosts").write_text(hosts_text(meta, extra, "127.0.0.1"))
        wanted = etc_files.Resolver(
            limits.dns or defaults.servers,
            limits.dns_search or defaults.search,
            limits.dns_options or defaults.options,
        )
        form = etc_files.host_resolv_conf if netns is None else etc_files.own_resolv_conf
        if resolves_names(self._operation.network, limits.network_mode):
            form = etc_files.embedded_resolv_conf
        (self._directory / "resolv.conf").write_text(form(host_resolver(), wanted))
        for name in ("hosts", "resolv.conf"):
            (self._directory / name).chmod(0o644)

    async def _execute(self, step: Step) -> None:
        limits = self._work.job.host_config
        spec = await step_spec(self._around.host, self._around.defaults, step, limits)
        runtime = self._around.runtimes.get(limits.runtime)
        bundle = Bundle(self._id, self._directory, spec)
        code = await foreground.run(runtime, bundle, StepLog(self._work.report))
        if code not in (self._operation.meta.valid_exit_codes or (0,)):
            raise ProcessFailed(self._operation.meta.args, code)


async def _both(
    mounting: Coroutine[Any, Any, WorkTree], lending: Coroutine[Any, Any, Namespaces]
) -> tuple[WorkTree, Namespaces]:
    """Both go on to their end when one fails, so that the stack undoes what was made."""
    tree, namespaces = asyncio.ensure_future(mounting), asyncio.ensure_future(lending)
    await asyncio.gather(tree, namespaces, return_exceptions=True)
    return tree.result(), namespaces.result()


def _remove(directory: Path) -> None:
    """Blocks; call in a thread."""
    unpin_all(directory / "pins")
    with contextlib.suppress(OSError):
        syscalls.umount(directory / "protected", syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
    shutil.rmtree(directory, ignore_errors=True)
