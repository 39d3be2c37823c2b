"""Plugins as the log drivers that `domain/containers` asks for."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core.errors import WharfError
from engine.core.model.container import LogConfig
from engine.domain.containers.log_drivers.drivers import is_plugin
from engine.domain.containers.log_drivers.failures import UnknownLogDriver, bad_default
from engine.domain.plugins.directory import PluginDirectory
from engine.drivers.logs.forward.address import DialFailed
from engine.drivers.logs.forward.connection import Connection
from engine.drivers.logs.forward.entry_reader import chunks
from engine.drivers.logs.forward.fifo import FifoDirectory, FifoRoute
from engine.drivers.logs.forward.forwarder import Destination
from engine.drivers.logs.forward.log_entry import LogEntryEncoder
from engine.drivers.logs.options import SYSTEM, LogChunk, LogOptions
from engine.drivers.plugins.log import CAPABILITY, FIFOS, LogRequest, RemoteLogDriver

Information = Mapping[str, Any]


class PluginLogDrivers:
    """The log drivers among the plugins. `owner` names this daemon among all on the host."""

    def __init__(self, directory: PluginDirectory, owner: str) -> None:
        self._directory = directory
        self._owner = owner

    async def start(self) -> None:
        """Remove the FIFOs of a daemon that was killed. Raises OSError."""
        for path in {Path(FIFOS), *(plugin.fifos for plugin in self._directory.installed(CAPABILITY))}:
            await asyncio.to_thread(FifoDirectory(path, self._owner).clean)

    async def require(self, name: str) -> None:
        """Raise UnknownLogDriver where no plugin of that name can be used."""
        try:
            await self._directory.get(name, CAPABILITY)
        except WharfError as error:
            raise UnknownLogDriver(name, str(error)) from error

    async def require_default(self, config: LogConfig) -> None:
        """Check the daemon's own driver as dockerd does at its start: without options it is not looked up yet.

        Raises InvalidLogOption.
        """
        if not config.config or not is_plugin(config):
            return
        try:
            await self.require(config.type)
        except UnknownLogDriver as error:
            raise bad_default(error) from error

    async def reads(self, name: str) -> bool:
        """Tell whether a plugin can give logs back; False of one that is not there."""
        try:
            plugin = await self._directory.get(name, CAPABILITY, patient=False)
        except WharfError:
            return False
        return await RemoteLogDriver(plugin.client).reads()

    def destination(self, name: str, information: Information) -> Destination:
        """Return the way of a container's log to a plugin."""
        return Destination(route=_Way(self._directory, name, information, self._owner), encoder=LogEntryEncoder)

    async def read(self, name: str, information: Information, options: LogOptions) -> AsyncGenerator[LogChunk, None]:
        """Yield the chunks of a log that a plugin has kept; a failure is told in the stream, as dockerd does."""
        request = LogRequest(options.since, options.until, options.tail, options.follow)
        try:
            plugin = await self._directory.get(name, CAPABILITY)
            async with aclosing(RemoteLogDriver(plugin.client).read(information, request)) as stream:
                async for chunk in chunks(stream, options):
                    yield chunk
        except WharfError as error:
            yield _problem(f"error getting log reader: {error}", options)
        except ValueError as error:
            yield _problem(f"error decoding log message: {error}", options)


def _problem(text: str, options: LogOptions) -> LogChunk:
    data = f"Error grabbing logs: {text}\n".encode()
    return LogChunk(0, options.frame(SYSTEM, data)) if options.frame else LogChunk(SYSTEM, data)


@dataclass(frozen=True, slots=True)
class _Way:
    """A container's log to a plugin, which is looked up for each connection: it may have been replaced."""

    directory: PluginDirectory
    name: str
    information: Information
    owner: str

    async def connect(self) -> Connection:
        """Have the plugin read a new FIFO. Raises DialFailed."""
        try:
            plugin = await self.directory.get(self.name, CAPABILITY)
        except WharfError as error:
            raise DialFailed(str(UnknownLogDriver(self.name, str(error)))) from error
        listener = _Listener(RemoteLogDriver(plugin.client), self.directory, plugin.name, self.information)
        return await FifoRoute(FifoDirectory(plugin.fifos, self.owner), listener).connect()


@dataclass(frozen=True, slots=True)
class _Listener:
    """A plugin that is told of one container; it is in use meanwhile, by its own name."""

    driver: RemoteLogDriver
    directory: PluginDirectory
    name: str
    information: Information

    async def begin(self, file: str) -> None:
        """Tell it to read. Raises WharfError."""
        await self.driver.start(file, self.information)
        self.directory.acquire(self.name)

    async def end(self, file: str) -> None:
        """Tell it that this was all. Raises WharfError."""
        try:
            await self.driver.stop(file)
        finally:
            self.directory.release(self.name)
