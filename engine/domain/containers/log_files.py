"""The logs of containers: where they are, how they are bounded, where they are sent, and `docker logs`."""

import asyncio
import dataclasses
import logging
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from engine.core.model.container import Container, Status
from engine.domain.containers.failures import LoggingNotInitialized, LogsUnreadable, NoStreamChosen
from engine.domain.containers.log_drivers import attributes, drivers, files
from engine.domain.containers.log_drivers.plugins import LogPlugins
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.wait import Condition, Waits
from engine.drivers.logs.forward.address import DialFailed
from engine.drivers.logs.forward.forwarder import Destination, ForwardedLog, Forwarders
from engine.drivers.logs.reader import LogChunk, LogOptions, read
from engine.drivers.logs.rotate import LogBounds, Rotator, cut
from engine.drivers.runtime.conmon import MonitorOptions

log = logging.getLogger(__name__)
_RUNNING = (Status.RUNNING, Status.PAUSED)


@dataclass(frozen=True, slots=True)
class LogDrivers:
    """What works on log files in the background, and the plugins that are sent them."""

    rotator: Rotator
    forwarders: Forwarders
    plugins: LogPlugins


class LogFiles:
    """Gives each run its log file, keeps the files within bounds, sends them to collectors, and reads them."""

    def __init__(self, paths: ContainerPaths, drivers: LogDrivers, waits: Waits) -> None:
        self._paths = paths
        self._rotator = drivers.rotator
        self._forwarders = drivers.forwarders
        self._plugins = drivers.plugins
        self._waits = waits

    async def monitor_options(self, container: Container, bundle: Path) -> MonitorOptions:
        """Return what the monitor of a new run is told; from now on its log is bounded and sent.

        Raises LoggingNotInitialized.
        """
        kept = drivers.is_kept(container.host_config.log_config)
        if kept:
            await self._begin(container)
        return MonitorOptions(
            container_id=container.id,
            bundle=bundle,
            log_path=self._paths.log(container.id) if kept else None,
            tty=container.config.tty,
            stdin=container.config.open_stdin,
            leave_stdin_open=not container.config.stdin_once,
        )

    async def _begin(self, container: Container) -> None:
        try:
            bounds = files.bounds(container)
            destination = self._destination(container)
            if destination is not None:
                await self._forwarders.start(self._forwarded(container.id), destination)
        except (DialFailed, ValueError) as error:
            raise LoggingNotInitialized(str(error)) from error
        self._bound(container.id, bounds)

    async def restore(self, container: Container, *, running: bool) -> None:
        """Look after the log of a container that an earlier daemon started; of one that is over, send what is left."""
        if not drivers.is_kept(container.host_config.log_config):
            return
        try:
            if running:
                self._bound(container.id, files.bounds(container))
            elif container.state.status in _RUNNING:
                await asyncio.to_thread(cut, self._paths.log(container.id), files.bounds(container))
            destination = self._destination(container)
        except (OSError, ValueError) as error:
            log.error("the log of container %s is not looked after: %s", container.id, error)
            return
        if destination is not None:
            await self._forwarders.resume(self._forwarded(container.id), destination, running=running)

    def _destination(self, container: Container) -> Destination | None:
        """Return where the log is sent, None where it is not. Raises ValueError."""
        config = container.host_config.log_config
        found: Destination | None
        if drivers.is_plugin(config):
            found = self._plugins.destination(config.type, attributes.information(container))
        else:
            found = drivers.destination(container, os.uname().nodename)
        return found and dataclasses.replace(found, buffer=drivers.buffered(config))

    def _bound(self, container_id: str, bounds: LogBounds) -> None:
        self._rotator.add(container_id, self._paths.log(container_id), self._paths.bundle(container_id) / "ctl", bounds)

    def _forwarded(self, container_id: str) -> ForwardedLog:
        return ForwardedLog(container_id, self._paths.log(container_id), self._paths.log_position(container_id))

    def unfollow(self, container_id: str) -> None:
        """The run is over: nothing grows any more, and what is left is sent."""
        self._rotator.remove(container_id)
        self._forwarders.finish(container_id)

    async def release(self, container_id: str) -> None:
        """The container's files are about to be removed: go on sending without them."""
        await self._forwarders.release(container_id)

    async def open(self, container: Container, options: LogOptions) -> AsyncGenerator[LogChunk, None]:
        """Return the log's chunks, following until the container's end where asked. Raises LogsUnreadable.

        A plugin that gives logs back is asked for them; of others, and of one that is not there, our own file is shown.
        """
        if not (options.stdout or options.stderr):
            raise NoStreamChosen
        config = container.host_config.log_config
        if drivers.is_plugin(config) and await self._plugins.reads(config.type):
            return self._plugins.read(config.type, attributes.information(container), options)
        if not drivers.is_readable(config):
            raise LogsUnreadable
        return read(self._paths.log(container.id), options, self._ended(container))

    def _ended(self, container: Container) -> asyncio.Event:
        ended = asyncio.Event()
        if container.state.status in (*_RUNNING, Status.RESTARTING):
            future = self._waits.arm(container, Condition.NEXT_EXIT)
            future.add_done_callback(lambda _: ended.set())
        else:
            ended.set()
        return ended
