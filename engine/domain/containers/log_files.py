"""The logs of containers: where they are, how they are bounded, and `docker logs`."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from engine.core.model.container import Container, LogConfig, Status
from engine.core.units import ram_in_bytes
from engine.domain.containers.failures import LoggingNotInitialized, LogsUnreadable, NoStreamChosen
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.wait import Condition, Waits
from engine.drivers.logs.reader import LogChunk, LogOptions, read
from engine.drivers.logs.rotate import LogBounds, Rotator
from engine.drivers.runtime.conmon import MonitorOptions

_READABLE = ("json-file", "local", "")


class LogFiles:
    """Gives each run its log file, keeps the files within bounds, and reads them."""

    def __init__(self, paths: ContainerPaths, rotator: Rotator, waits: Waits) -> None:
        self._paths = paths
        self._rotator = rotator
        self._waits = waits

    async def monitor_options(self, container: Container, bundle: Path) -> MonitorOptions:
        """Return what the monitor of a new run is told, and bound its log from now on."""
        bounds = log_bounds(container.host_config.log_config)
        logged = container.host_config.log_config.type != "none"
        await self.follow(container)
        return MonitorOptions(
            container_id=container.id,
            bundle=bundle,
            log_path=self._paths.log(container.id) if logged else None,
            log_size_max=bounds.total,
            tty=container.config.tty,
            stdin=container.config.open_stdin,
            leave_stdin_open=not container.config.stdin_once,
        )

    async def follow(self, container: Container) -> None:
        """Keep a running container's log within its bounds."""
        if container.host_config.log_config.type != "none":
            bounds = log_bounds(container.host_config.log_config)
            self._rotator.add(
                container.id, self._paths.log(container.id), self._paths.bundle(container.id) / "ctl", bounds
            )

    def unfollow(self, container_id: str) -> None:
        """The run is over: nothing grows any more."""
        self._rotator.remove(container_id)

    def read(self, container: Container, options: LogOptions) -> AsyncGenerator[LogChunk, None]:
        """Return the log's chunks, following until the container's end where asked. Raises LogsUnreadable."""
        if not (options.stdout or options.stderr):
            raise NoStreamChosen
        if container.host_config.log_config.type not in _READABLE:
            raise LogsUnreadable
        return read(self._paths.log(container.id), options, self._ended(container))

    def _ended(self, container: Container) -> asyncio.Event:
        ended = asyncio.Event()
        if container.state.status in (Status.RUNNING, Status.PAUSED, Status.RESTARTING):
            future = self._waits.arm(container, Condition.NEXT_EXIT)
            future.add_done_callback(lambda _: ended.set())
        else:
            ended.set()
        return ended


def log_bounds(config: LogConfig) -> LogBounds:
    """Return the size and number of log files that `max-size` and `max-file` ask for. Raises LoggingNotInitialized."""
    options = config.config or {}
    defaults = LogBounds()
    size, files = options.get("max-size", "-1"), options.get("max-file", str(defaults.max_files))
    if not files.isdecimal():
        raise LoggingNotInitialized(f'strconv.Atoi: parsing "{files}": invalid syntax')
    try:
        return LogBounds(defaults.max_size if size == "-1" else ram_in_bytes(size), max(int(files), 1))
    except ValueError as error:
        raise LoggingNotInitialized(f"invalid size: '{size}'") from error
