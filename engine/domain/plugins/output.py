"""What installed plugins print goes to the daemon's own log, a record for each line, as with dockerd.

conmon writes it to a file, which is bounded and read from here like a container's log: a plugin outlives the daemon,
and what it prints meanwhile is told by the next one.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.domain.plugins.paths import PluginPaths
from engine.drivers.logs.forward.connection import Connection
from engine.drivers.logs.forward.entries import Entry
from engine.drivers.logs.forward.forwarder import Destination, ForwardedLog, Forwarders
from engine.drivers.logs.options import STDERR
from engine.drivers.logs.rotate import LogBounds, Rotator

log = logging.getLogger(__name__)
_BOUNDS = LogBounds(max_size=1 << 20, max_files=2)


class PluginOutput:
    """Follows the output of plugins."""

    def __init__(self, paths: PluginPaths, rotator: Rotator, forwarders: Forwarders) -> None:
        self._paths = paths
        self._rotator = rotator
        self._forwarders = forwarders

    async def begin(self, plugin_id: str) -> Path:
        """Follow a run that is about to start; return the file that its monitor is to write."""
        await self._forwarders.start(self._files(plugin_id), _destination(plugin_id))
        self._bound(plugin_id)
        return self._paths.output(plugin_id)

    async def resume(self, plugin_id: str) -> None:
        """Follow a run that an earlier daemon started."""
        if await asyncio.to_thread(self._paths.output(plugin_id).parent.is_dir):
            await self._forwarders.resume(self._files(plugin_id), _destination(plugin_id), running=True)
            self._bound(plugin_id)

    async def end(self, plugin_id: str) -> None:
        """The run is over, and its files are about to be removed: what is left of them is told all the same."""
        self._rotator.remove(plugin_id)
        await self._forwarders.release(plugin_id)

    def _files(self, plugin_id: str) -> ForwardedLog:
        output = self._paths.output(plugin_id)
        return ForwardedLog(plugin_id, output, output.parent.parent / "told" / "position.json")

    def _bound(self, plugin_id: str) -> None:
        self._rotator.add(plugin_id, self._paths.output(plugin_id), self._paths.bundle(plugin_id) / "ctl", _BOUNDS)


def _destination(plugin_id: str) -> Destination:
    return Destination(route=_DaemonLog(plugin_id), encoder=_Lines)


class _Lines:
    """One packet for each line: its stream, then its text."""

    def encode(self, entries: Sequence[Entry]) -> list[bytes]:
        return [bytes((entry.stream,)) + entry.line for entry in entries]


@dataclass(frozen=True, slots=True)
class _DaemonLog:
    """The daemon's log as a collector: it is always there."""

    plugin_id: str

    async def connect(self) -> Connection:
        return self

    async def send(self, packets: Sequence[bytes]) -> None:
        for packet in packets:
            level = logging.ERROR if packet[0] == STDERR else logging.INFO
            log.log(level, "%s", packet[1:].decode(errors="replace"), extra={"plugin": self.plugin_id})

    async def confirm(self, chunk: str) -> None:
        """There is nothing to wait for."""

    async def close(self) -> None:
        """There is nothing to close."""
