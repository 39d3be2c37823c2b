"""One run of a container: tree, network, OCI bundle, monitor, process; and the teardown of all of it.

`launch` either leaves a running process or nothing. The bundle directory is made first and removed last: while it
exists, a start or a teardown is unfinished, which is what `engine/domain/containers/restore.py` looks for.
"""

import asyncio
import contextlib
import dataclasses
import logging
import shutil
import signal as signals
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.core import times
from engine.core.errors import InvalidParameter, WharfError
from engine.core.model.container import Container, HostConfig, State, Status
from engine.domain.containers import health_rules, shm
from engine.domain.containers.failures import NotRunning
from engine.domain.containers.host import Host
from engine.domain.containers.launch_failures import as_launch_failure
from engine.domain.containers.log_files import LogFiles
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.rootfs import Rootfs, RootfsPreparer
from engine.domain.containers.sandbox import Prepared, SandboxPreparer
from engine.domain.containers.spec.build import oci_spec
from engine.domain.containers.spec.limits import changed_resources, lifted
from engine.domain.containers.streams import Streams
from engine.drivers.cgroups.cgroups import Cgroups
from engine.drivers.confine.pin import unpin_all
from engine.drivers.runtime import first_process
from engine.drivers.runtime.configuration import encoded
from engine.drivers.runtime.conmon import Conmon, Monitored
from engine.drivers.runtime.failures import RuntimeFailed, UnknownProcess
from engine.drivers.runtime.oci import Make, OciRuntime, Runtimes, UnknownRuntime

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    exit_code: int
    finished_at: int
    oom_killed: bool = False
    error: str = ""


class RuntimeUnfit(InvalidParameter):
    """crun makes the container's root the owner of its standard input, which is the host's /dev/null."""

    def __init__(self) -> None:
        super().__init__("containers with remapped users cannot run under crun: use the runtime runc")


@dataclass(frozen=True, slots=True)
class Machinery:
    """The drivers that a run needs."""

    conmon: Conmon
    runtimes: Runtimes
    cgroups: Cgroups
    paths: ContainerPaths
    host: Host
    logs: LogFiles


class Runner:
    """Launches and tears down runs; signals and freezes what runs."""

    def __init__(
        self, machinery: Machinery, rootfs: RootfsPreparer, sandbox: SandboxPreparer, streams: Streams
    ) -> None:
        self._machinery = machinery
        self._paths = machinery.paths
        self._rootfs = rootfs
        self._sandbox = sandbox
        self._streams = streams

    async def launch(self, container: Container, checkpoint: Path | None = None) -> Container:
        """Start the container's process and return its running snapshot, not yet written. Raises LaunchFailed.

        With a checkpoint, the processes that it holds go on instead.
        """
        bundle = self._paths.bundle(container.id)
        if not await asyncio.to_thread(_make_directory, bundle):
            await self.release(container)
            await asyncio.to_thread(_make_directory, bundle)
        try:
            return await self._launch(container, bundle, checkpoint)
        except BaseException as error:
            self._streams.give_up(container.id)
            await asyncio.shield(self._undo(container))
            if not isinstance(error, Exception):
                raise
            if not isinstance(error, (OSError, WharfError)):
                log.error("the start of container %s failed unexpectedly", container.id, exc_info=error)
            # Whatever it was: who waits for this container must hear that it does not run.
            raise as_launch_failure(error) from error

    async def _undo(self, container: Container) -> None:
        await self.release(container)
        await self._remove_cgroup(container)
        self.forget(container)

    async def _remove_cgroup(self, container: Container) -> None:
        """crun leaves that of a container which it could not make, and knows it no more."""
        await self._machinery.cgroups.remove(container.id, container.host_config.cgroup_parent)

    async def _launch(self, container: Container, bundle: Path, checkpoint: Path | None) -> Container:
        self._machinery.cgroups.forewarn()
        # Before anything is made: a container may name a runtime that is not there.
        runtime = self._runtime(container)
        if self._machinery.host.remaps(container) and runtime.program.make is Make.CRUN:
            raise RuntimeUnfit
        rootfs, prepared = await self._prepare(container)
        spec = oci_spec(await self._machinery.host.spec_request(container, rootfs, prepared))
        await asyncio.to_thread((bundle / "config.json").write_bytes, encoded(runtime.prepared(spec)))
        monitored = await self._create(container, runtime, bundle, checkpoint)
        self._machinery.cgroups.shelter(monitored.monitor_pid)
        await runtime.learn(container.id, spec)
        prepared = await self._sandbox.connect(container, prepared, monitored.pid)
        await self._streams.connect(container, bundle)
        if not checkpoint:
            await runtime.start(container.id, monitored.pid)
        state = State(
            status=Status.RUNNING,
            pid=monitored.pid,
            monitor_pid=monitored.monitor_pid,
            started_at=times.now(),
            health=health_rules.at_start(container),
        )
        return msgspec.structs.replace(
            container, state=state, started_once=True, sandbox=prepared.sandbox, networks=dict(prepared.networks)
        )

    async def _create(
        self, container: Container, runtime: OciRuntime, bundle: Path, checkpoint: Path | None
    ) -> Monitored:
        options = await self._machinery.logs.monitor_options(container, bundle)
        options = dataclasses.replace(options, checkpoint=checkpoint)
        return await self._machinery.conmon.create(runtime, options)

    async def _prepare(self, container: Container) -> tuple[Rootfs, Prepared]:
        """Both go on to their end when one fails: what is half made could not be released."""
        tree, network = await asyncio.gather(
            self._rootfs.prepare(container), self._sandbox.prepare(container), return_exceptions=True
        )
        if isinstance(network, BaseException):
            raise network
        if isinstance(tree, BaseException):
            raise tree
        return tree, network

    async def finish(self, container: Container) -> Outcome:
        """Learn how a run ended, and tear it down. The exit code is kept until `forget`."""
        code, oom_killed = await asyncio.to_thread(self._ending, container)
        if code is None:
            # The monitor was killed: the process may still be there, but nobody could tell its exit code or log it.
            await self.kill_all(container)
            outcome = Outcome(255, times.now(), error="the container's monitor (conmon) ended unexpectedly")
        else:
            outcome = Outcome(code, times.now(), oom_killed)
        await self.release(container)
        return outcome

    def _ending(self, container: Container) -> tuple[int | None, bool]:
        """Blocks; call in a thread."""
        code = self._machinery.conmon.exit_code(container.id)
        return code, self._machinery.cgroups.oom_killed(container.id, container.host_config.cgroup_parent)

    def forget(self, container: Container) -> None:
        """Drop the exit code of a run whose end is recorded."""
        self._machinery.conmon.forget(container.id)

    async def release(self, container: Container) -> None:
        """Remove what a run left: process, cgroup, network, mounts, bundle. Idempotent.

        What fails is logged, and the bundle left for the next start of the container or daemon to try again: a run is
        over whether or not all of it can be taken down.
        """
        self._machinery.logs.unfollow(container.id)
        both = (self._delete(container), self._sandbox.release(container))
        results = list(await asyncio.gather(*both, return_exceptions=True))
        # Last: nothing can be in the tree any more.
        results += await asyncio.gather(self._rootfs.release(container), return_exceptions=True)
        failed = [result for result in results if result is not None]
        for error in failed:
            log.error("what container %s left cannot be removed", container.id, exc_info=error)
        if not failed:
            await asyncio.to_thread(_remove_bundle, self._paths.bundle(container.id), self._paths.shm(container.id))

    async def _delete(self, container: Container) -> None:
        """A runtime that is configured no more cannot delete anything; what else can be released must be."""
        with contextlib.suppress(RuntimeFailed, UnknownRuntime):
            await self._runtime(container).delete(container.id, force=True)

    async def release_leftovers(self, container: Container) -> None:
        """Remove what an unfinished start or teardown left of a container that is not recorded as running."""
        if await asyncio.to_thread(self._paths.bundle(container.id).exists):
            await self.release(container)
            await self._remove_cgroup(container)
        self.forget(container)

    async def signal(self, container: Container, number: int) -> None:
        """Send a signal to the first process. Raises NotRunning."""
        runtime, state = self._runtime(container), container.state
        try:
            if runtime.native:
                first_process.send_signal(state.pid, state.monitor_pid, number)
            else:
                await runtime.kill(container.id, number)
        except UnknownProcess as error:
            raise NotRunning(container.id) from error

    async def kill_all(self, container: Container) -> None:
        """Kill every process of the container."""
        with contextlib.suppress(RuntimeFailed):
            await self._runtime(container).kill(container.id, signals.SIGKILL, all=True)

    async def checkpoint(self, container: Container, directory: Path, *, ends: bool) -> None:
        """Write the processes into files in `directory`; `ends`: end them. Raises RuntimeFailed."""
        await self._runtime(container).checkpoint(container.id, directory, ends=ends)

    async def freeze(self, container: Container) -> None:
        """Stop all processes from being scheduled. Raises NotRunning, OSError, RuntimeFailed."""
        runtime = self._runtime(container)
        if not runtime.native:
            await runtime.pause(container.id)
            return
        try:
            await self._machinery.cgroups.freeze(container.id, container.state.pid)
        except ProcessLookupError as error:
            raise NotRunning(container.id) from error

    async def thaw(self, container: Container) -> None:
        """Let the processes go on. Raises NotRunning, OSError, RuntimeFailed."""
        runtime = self._runtime(container)
        if not runtime.native:
            await runtime.resume(container.id)
            return
        try:
            await self._machinery.cgroups.thaw(container.id, container.state.pid)
        except ProcessLookupError as error:
            raise NotRunning(container.id) from error

    async def limit(self, container: Container, host_config: HostConfig) -> None:
        """Set the limits that `host_config` names on what runs. Raises RuntimeFailed, OSError."""
        resources = changed_resources(host_config, v2=self._machinery.cgroups.v2)
        if not resources:
            return
        runtime = self._runtime(container)
        await runtime.update(container.id, resources)
        if not runtime.lifts_limits:
            await self._machinery.cgroups.lift(container.id, container.state.pid, lifted(resources))

    def _runtime(self, container: Container) -> OciRuntime:
        return self._machinery.runtimes.get(container.host_config.runtime)


def _make_directory(path: Path) -> bool:
    """Make it, and tell whether it was not there before. Blocks; call in a thread."""
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return False
    return True


def _remove_bundle(bundle: Path, shared_memory: Path) -> None:
    """Blocks; call in a thread."""
    shm.unmount(shared_memory)
    unpin_all(bundle / "subpaths")
    shutil.rmtree(bundle, ignore_errors=True)
