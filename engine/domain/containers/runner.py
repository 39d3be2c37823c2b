"""One run of a container: tree, network, OCI bundle, monitor, process; and the teardown of all of it.

`launch` either leaves a running process or nothing. The bundle directory is made first and removed last: while it exists,
a start or a teardown is unfinished, which is what `engine/domain/containers/restore.py` looks for.
"""

import asyncio
import contextlib
import shutil
import signal as signals
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.core import times
from engine.core.errors import InvalidParameter, WharfError
from engine.core.model.container import Container, State, Status
from engine.domain.containers.failures import NotRunning
from engine.domain.containers.host import Host
from engine.domain.containers.log_files import LogFiles
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.rootfs import Rootfs, RootfsPreparer
from engine.domain.containers.sandbox import Prepared, SandboxPreparer
from engine.domain.containers.spec.build import SpecRequest, oci_spec
from engine.domain.containers.streams import Streams
from engine.drivers.cgroups.cgroups import Cgroups
from engine.drivers.runtime.conmon import Conmon, MonitorOptions
from engine.drivers.runtime.failures import RuntimeFailed
from engine.drivers.runtime.oci import OciRuntime, Runtimes


class LaunchFailed(WharfError):
    """A container could not be started. `exit_code` is what `docker run` makes of it: 126, 127 or 128."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class CommandNotRunnable(LaunchFailed, InvalidParameter):
    """The command is not there or cannot be executed: the client's mistake (400)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    exit_code: int
    finished_at: int
    oom_killed: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of a container's own layer, and of its whole tree."""

    rw: int
    root: int


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

    def __init__(self, machinery: Machinery, rootfs: RootfsPreparer, sandbox: SandboxPreparer, streams: Streams) -> None:
        self._machinery = machinery
        self._paths = machinery.paths
        self._rootfs = rootfs
        self._sandbox = sandbox
        self._streams = streams

    async def launch(self, container: Container) -> Container:
        """Start the container's process and return its running snapshot, not yet written. Raises LaunchFailed."""
        bundle = self._paths.bundle(container.id)
        await asyncio.to_thread(_fresh_directory, bundle)
        try:
            return await self._launch(container, bundle)
        except BaseException as error:
            await asyncio.shield(self.release(container))
            if isinstance(error, (OSError, WharfError)):
                raise _as_launch_failure(error) from error
            raise

    async def _launch(self, container: Container, bundle: Path) -> Container:
        rootfs, prepared = await self._prepare(container)
        runtime = self._machinery.runtimes.get(container.host_config.runtime)
        spec = oci_spec(self._spec_request(container, rootfs, prepared))
        await asyncio.to_thread((bundle / "config.json").write_bytes, msgspec.json.encode(spec))
        options = await self._machinery.logs.monitor_options(container, bundle)
        monitored = await self._machinery.conmon.create(runtime, options)
        await self._streams.connect(container, bundle)
        await runtime.start(container.id)
        state = State(status=Status.RUNNING, pid=monitored.pid, monitor_pid=monitored.monitor_pid, started_at=times.now())
        return msgspec.structs.replace(
            container, state=state, started_once=True, sandbox=prepared.sandbox, networks=dict(prepared.networks)
        )

    async def _prepare(self, container: Container) -> tuple[Rootfs, Prepared]:
        try:
            async with asyncio.TaskGroup() as both:
                tree = both.create_task(self._rootfs.prepare(container))
                network = both.create_task(self._sandbox.prepare(container))
        except* (OSError, WharfError) as group:
            raise group.exceptions[0] from None
        return tree.result(), network.result()

    def _spec_request(self, container: Container, rootfs: Rootfs, prepared: Prepared) -> SpecRequest:
        return self._machinery.host.spec_request(container, rootfs, prepared)

    async def finish(self, container: Container) -> Outcome:
        """Learn how a run ended, and tear it down."""
        conmon = self._machinery.conmon
        code = await asyncio.to_thread(conmon.exit_code, container.id)
        oom_killed = await asyncio.to_thread(self._machinery.cgroups.oom_killed, container.id)
        if code is None:
            # The monitor was killed: the process may still be there, but nobody could tell its exit code or log it.
            await self.kill_all(container)
            outcome = Outcome(255, times.now(), error="the container's monitor (conmon) ended unexpectedly")
        else:
            outcome = Outcome(code, times.now(), oom_killed)
        await self.release(container)
        return outcome

    async def release(self, container: Container) -> None:
        """Remove what a run left: process, cgroup, network, mounts, bundle. Idempotent."""
        runtime = self._machinery.runtimes.get(container.host_config.runtime)
        await self._streams.disconnect(container.id)
        with contextlib.suppress(RuntimeFailed):
            await runtime.delete(container.id, force=True)
        await self._sandbox.release(container)
        await self._rootfs.release(container)
        self._machinery.conmon.forget(container.id)
        await asyncio.to_thread(shutil.rmtree, self._paths.bundle(container.id), ignore_errors=True)

    async def signal(self, container: Container, number: int) -> None:
        """Send a signal to the first process. Raises NotRunning."""
        try:
            await self._runtime(container).kill(container.id, number)
        except (RuntimeFailed, ProcessLookupError) as error:
            raise NotRunning(container.id) from error

    async def kill_all(self, container: Container) -> None:
        """Kill every process of the container."""
        with contextlib.suppress(RuntimeFailed, ProcessLookupError):
            await self._runtime(container).kill(container.id, signals.SIGKILL, all=True)

    async def freeze(self, container: Container) -> None:
        """Stop all processes from being scheduled."""
        await self._runtime(container).pause(container.id)

    async def thaw(self, container: Container) -> None:
        """Let the processes go on."""
        await self._runtime(container).resume(container.id)

    def _runtime(self, container: Container) -> OciRuntime:
        return self._machinery.runtimes.get(container.host_config.runtime)


def _fresh_directory(path: Path) -> None:
    """Blocks; call in a thread."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700, parents=True)


def _as_launch_failure(error: OSError | WharfError) -> LaunchFailed:
    message = str(error)
    if not isinstance(error, RuntimeFailed):
        return LaunchFailed(message, 128)
    message = f"failed to create task for container: failed to create shim task: {message}"
    if "executable file not found" in message or "no such file or directory" in message:
        return CommandNotRunnable(message, 127)
    if "permission denied" in message or "is a directory" in message:
        return CommandNotRunnable(message, 126)
    return LaunchFailed(message, 128)
