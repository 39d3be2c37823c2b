"""One run of an installed plugin: tree, bundle, monitor, process, socket; and the teardown of all of it."""

import asyncio
import contextlib
import logging
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.core.errors import WharfError
from engine.core.model.plugin import InstalledPlugin
from engine.domain.containers.spec.build import HostFacts
from engine.domain.plugins.failures import PluginSilent
from engine.domain.plugins.output import PluginOutput
from engine.domain.plugins.paths import PluginPaths
from engine.domain.plugins.spec import PluginSpecRequest, plugin_spec
from engine.drivers.cgroups.cgroups import Cgroups
from engine.drivers.linux import devices, syscalls
from engine.drivers.linux.pidfd import wait_exit
from engine.drivers.linux.removal import remove_tree
from engine.drivers.plugins.client import listens
from engine.drivers.runtime.conmon import Conmon, MonitorOptions
from engine.drivers.runtime.failures import RuntimeFailed
from engine.drivers.runtime.oci import Runtimes
from engine.drivers.storage.overlay import OverlayDriver
from engine.drivers.volumes.local import mounts_below

log = logging.getLogger(__name__)
# Seconds: dockerd gives a plugin about as long.
_UNTIL_IT_LISTENS = 10.0
_UNTIL_IT_ENDS = 10.0


@dataclass(frozen=True, slots=True)
class PluginMachinery:
    """What a run needs."""

    conmon: Conmon
    runtimes: Runtimes
    cgroups: Cgroups
    overlay: OverlayDriver
    paths: PluginPaths
    facts: HostFacts
    output: PluginOutput


class PluginRunner:
    """Starts and ends runs."""

    def __init__(self, machinery: PluginMachinery) -> None:
        self._machinery = machinery
        self._paths = machinery.paths

    def socket(self, plugin: InstalledPlugin) -> Path:
        """Return where a plugin listens."""
        return self._paths.sockets(plugin.id) / plugin.config.interface.socket

    async def start(self, plugin: InstalledPlugin) -> InstalledPlugin:
        """Run a plugin until it listens; return it with its pids, not yet written. Raises WharfError, OSError."""
        await self.release(plugin)
        try:
            started = await self._launch(plugin)
            await self._until_it_listens(started)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(self.stop(plugin)))
            raise
        return started

    async def _launch(self, plugin: InstalledPlugin) -> InstalledPlugin:
        machinery = self._machinery
        runtime = machinery.runtimes.get("")
        rootfs = await machinery.overlay.mount(plugin.id)
        await asyncio.to_thread(self._prepare, plugin)
        spec = plugin_spec(await asyncio.to_thread(self._request, plugin, rootfs))
        bundle = self._paths.bundle(plugin.id)
        await asyncio.to_thread((bundle / "config.json").write_bytes, msgspec.json.encode(runtime.prepared(spec)))
        output = await machinery.output.begin(plugin.id)
        monitored = await machinery.conmon.create(runtime, MonitorOptions(plugin.id, bundle, output))
        await runtime.start(plugin.id, monitored.pid)
        return msgspec.structs.replace(plugin, pid=monitored.pid, monitor_pid=monitored.monitor_pid)

    def _prepare(self, plugin: InstalledPlugin) -> None:
        """Blocks; call in a thread."""
        self._paths.sockets(plugin.id).mkdir(mode=0o700, parents=True)
        self._paths.fifos(plugin.id).mkdir(mode=0o700)
        self._paths.output(plugin.id).parent.mkdir(mode=0o700)
        if plugin.config.propagated_mount:
            propagated = self._paths.propagated(plugin.id)
            propagated.mkdir(mode=0o755, parents=True, exist_ok=True)
            syscalls.mount(str(propagated), propagated, "", syscalls.MS_BIND)
            syscalls.mount("", propagated, "", syscalls.MS_SHARED | syscalls.MS_REC)

    def _request(self, plugin: InstalledPlugin, rootfs: Path) -> PluginSpecRequest:
        """Blocks; call in a thread."""
        paths = [device.path for device in plugin.settings.devices if device.path]
        return PluginSpecRequest(
            plugin=plugin,
            rootfs=str(rootfs),
            sockets=str(self._paths.sockets(plugin.id)),
            fifos=str(self._paths.fifos(plugin.id)),
            propagated=str(self._paths.propagated(plugin.id)),
            host=self._machinery.facts,
            cgroup=self._machinery.cgroups.runtime_path(plugin.id, ""),
            devices=[node for path in paths for node in devices.lookup(path)],
        )

    async def _until_it_listens(self, plugin: InstalledPlugin) -> None:
        path, deadline = self.socket(plugin), time.monotonic() + _UNTIL_IT_LISTENS
        ended = asyncio.ensure_future(wait_exit(plugin.monitor_pid))
        try:
            while not await listens(path):
                if ended.done() or time.monotonic() > deadline:
                    raise PluginSilent(path)
                await asyncio.wait((ended,), timeout=0.02)
        finally:
            ended.cancel()

    async def resume(self, plugin: InstalledPlugin) -> None:
        """Take up a run that an earlier daemon started."""
        await self._machinery.output.resume(plugin.id)

    async def wait(self, plugin: InstalledPlugin) -> None:
        """Return when a plugin's run has ended."""
        await wait_exit(plugin.monitor_pid)

    async def stop(self, plugin: InstalledPlugin) -> None:
        """End a run, gently for some seconds, and tidy up."""
        runtime = self._machinery.runtimes.get("")
        with contextlib.suppress(RuntimeFailed):
            await runtime.kill(plugin.id, signal.SIGTERM)
            with contextlib.suppress(TimeoutError, ProcessLookupError):
                async with asyncio.timeout(_UNTIL_IT_ENDS):
                    await wait_exit(plugin.monitor_pid) if plugin.monitor_pid else None
        await self.release(plugin)

    async def release(self, plugin: InstalledPlugin) -> None:
        """Remove what a run left: processes, mounts, bundle. Idempotent; what fails is logged."""
        machinery = self._machinery
        with contextlib.suppress(RuntimeFailed):
            await machinery.runtimes.get("").delete(plugin.id, force=True)
        machinery.conmon.forget(plugin.id)
        await machinery.output.end(plugin.id)
        try:
            await machinery.overlay.unmount(plugin.id)
            await asyncio.to_thread(self._tidy, plugin)
        except (OSError, WharfError) as error:
            log.error("what plugin %s left cannot be removed: %s", plugin.name, error)

    async def remove(self, plugin: InstalledPlugin) -> None:
        """Remove what a plugin that does not run has kept, unless something is still mounted there."""
        await self.release(plugin)
        await asyncio.to_thread(self._remove, plugin)

    def _remove(self, plugin: InstalledPlugin) -> None:
        """Blocks; call in a thread."""
        propagated = self._paths.propagated(plugin.id)
        if left := mounts_below(propagated):
            log.error("the directory of plugin %s is kept: %s is still mounted", plugin.name, left[0])
        elif propagated.exists():
            remove_tree(propagated)

    def _tidy(self, plugin: InstalledPlugin) -> None:
        """Blocks; call in a thread."""
        propagated = self._paths.propagated(plugin.id)
        with contextlib.suppress(OSError):
            while True:
                syscalls.umount(propagated, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._paths.bundle(plugin.id))
