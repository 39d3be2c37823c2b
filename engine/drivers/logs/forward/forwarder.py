"""Delivers the logs of containers to collectors, each in a task of its own.

conmon writes the log file whatever a collector does; what is here only reads it. So a collector that is slow, dead or
not there yet holds up no container and costs no memory: its log waits in the file, within the file's bounds.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.core import times
from engine.drivers.logs.changes import Changes
from engine.drivers.logs.forward.address import DialFailed
from engine.drivers.logs.forward.connection import Connection, Way
from engine.drivers.logs.forward.encoder import Encoder
from engine.drivers.logs.forward.fluentd import with_chunk
from engine.drivers.logs.forward.source import Batch, Source, is_behind

log = logging.getLogger(__name__)
_SAVE_NANOSECONDS, _SAVE_BATCHES = 1_000_000_000, 4
_LONGEST_WAIT = 30.0
_STOP_SECONDS = 1.0
_SLOW_SECONDS = 0.1
_REMOVED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a log goes and in which form.

    `lazy`: a collector that is not there does not fail a start. `acknowledged`: fluentd's. `retry_seconds` is the first
    wait for a collector that is gone. `failure` is how a start's failure is told; `{}` in it stands for the reason.
    `buffer`: the bytes of messages that wait for a collector that does not keep up, where not all do (0).
    """

    route: Way
    encoder: Callable[[], Encoder]
    lazy: bool = False
    acknowledged: bool = False
    retry_seconds: float = 1.0
    failure: str = "{}"
    buffer: int = 0


@dataclass(frozen=True, slots=True)
class ForwardedLog:
    """The files of one container: its log, and how far that has been delivered."""

    container_id: str
    log: Path
    position: Path


class Forwarders:
    """All that is being delivered. Lives on the event loop; `close` at the end."""

    def __init__(self) -> None:
        self._all: dict[str, _Forwarder] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self, files: ForwardedLog, destination: Destination) -> None:
        """Deliver the log of a container that is about to run. Raises DialFailed."""
        connection = None if destination.lazy else await _dialled(destination)
        await self._replace(files, destination, connection)

    async def resume(self, files: ForwardedLog, destination: Destination, *, running: bool) -> None:
        """Go on after a restart of the daemon; of a container that is over, deliver what is left."""
        if running or await asyncio.to_thread(is_behind, files.position, files.log):
            await self._replace(files, destination, None)
            if not running:
                self.finish(files.container_id)

    async def _replace(self, files: ForwardedLog, destination: Destination, connection: Connection | None) -> None:
        former = self._all.pop(files.container_id, None)
        if former is not None:
            await former.close()
        self._all[files.container_id] = _Forwarder(files, destination, connection, self._ended)

    def _ended(self, forwarder: "_Forwarder") -> None:
        if self._all.get(forwarder.container_id) is forwarder:
            del self._all[forwarder.container_id]

    def finish(self, container_id: str) -> None:
        """The container is over: deliver what is left, then stop."""
        if forwarder := self._all.get(container_id):
            forwarder.finish()

    async def release(self, container_id: str) -> None:
        """The log is about to be removed: deliver what is left of it while nothing but open files is there."""
        forwarder = self._all.pop(container_id, None)
        if forwarder is not None:
            await forwarder.hold()
            task = asyncio.get_running_loop().create_task(forwarder.end_within(_REMOVED_SECONDS))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Stop; what has not been delivered waits for the next start of the daemon."""
        forwarders = list(self._all.values())
        await asyncio.gather(*(forwarder.close() for forwarder in forwarders), return_exceptions=True)
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)


async def _dialled(destination: Destination) -> Connection:
    try:
        return await destination.route.connect()
    except DialFailed as error:
        raise DialFailed(destination.failure.format(error)) from error


class _Forwarder:
    """Delivers one log."""

    def __init__(
        self,
        files: ForwardedLog,
        destination: Destination,
        connection: Connection | None,
        ended: "Callable[[_Forwarder], None]",
    ) -> None:
        self.container_id = files.container_id
        self._destination = destination
        self._connection = connection
        self._source = Source(files.log, files.position, destination.encoder())
        self._over = asyncio.Event()
        self._stopping = asyncio.Event()
        self._saved, self._delivered = b"", b""
        self._saved_at, self._unsaved = 0, 0
        self._busy = 0.0  # Seconds that the collector has taken since it last had all.
        loop = asyncio.get_running_loop()
        self._changes = Changes(files.log.parent, self._over)
        self._task = loop.create_task(self._run(), name=f"log-forwarder-{files.container_id[:12]}")
        self._task.add_done_callback(lambda _: ended(self))

    def finish(self) -> None:
        """The log grows no more."""
        self._over.set()

    async def hold(self) -> None:
        """Keep the files open that are about to be removed."""
        self.finish()
        await asyncio.to_thread(self._source.hold)

    async def end_within(self, seconds: float) -> None:
        """Wait for the end, but not longer."""
        done, _ = await asyncio.wait((self._task,), timeout=seconds)
        if not done:
            log.warning("the last lines of container %s were not delivered: its log is removed", self.container_id)
        await self._cancel()

    async def close(self) -> None:
        """Stop after what is being sent; do not wait for a collector that does not take it."""
        self._stopping.set()
        self._over.set()
        await asyncio.wait((self._task,), timeout=_STOP_SECONDS)
        await self._cancel()

    async def _cancel(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while not await self._is_all_delivered():
                await self._pause(_LONGEST_WAIT)
        finally:
            self._changes.close()
            await asyncio.shield(self._disconnect())
            await asyncio.shield(asyncio.to_thread(self._finish_source))

    async def _is_all_delivered(self) -> bool:
        """Deliver; tell of a log that cannot be read now, as it may be readable later."""
        try:
            await self._deliver_all()
        except OSError as error:
            log.error("the log of container %s cannot be read: %s", self.container_id, error)
            return self._stopping.is_set()
        return True

    def _finish_source(self) -> None:
        """Blocks; call in a thread."""
        try:
            if self._delivered != self._saved:
                self._source.save(self._delivered)
        except OSError as error:
            self._not_saved(error)
        finally:
            self._source.close()

    def _not_saved(self, error: OSError) -> None:
        log.warning("the next daemon may send lines of container %s again: %s", self.container_id, error)

    async def _deliver_all(self) -> None:
        while True:
            last = self._changes.arm()
            while not self._stopping.is_set() and (batch := await asyncio.to_thread(self._source.next, self._limit())):
                began = time.monotonic()
                await self._deliver(batch)
                self._busy += time.monotonic() - began
            self._busy = 0.0
            if self._stopping.is_set():
                return
            if last:
                if rest := await asyncio.to_thread(self._source.rest):
                    await self._deliver(rest)
                return
            await self._save()
            await self._changes.wait(times.now() + _SAVE_NANOSECONDS if self._delivered != self._saved else 0)

    def _limit(self) -> int:
        """Return how much may wait: a burst that the collector has yet to see is not its fault."""
        return self._destination.buffer if self._busy > _SLOW_SECONDS else 0

    async def _deliver(self, batch: Batch) -> None:
        """Send until it is sent."""
        delay = self._destination.retry_seconds
        failed = False
        while not self._stopping.is_set():
            try:
                await self._send(batch)
            except OSError as error:
                await self._disconnect()
                if not failed:
                    log.warning("the log collector of container %s is not there: %s", self.container_id, error)
                failed = True
                await self._pause(delay)
                delay = min(delay * 1.5, max(_LONGEST_WAIT, delay))
            else:
                if failed:
                    log.info("the log collector of container %s is back", self.container_id)
                self._delivered = batch.position
                self._unsaved += 1
                await self._save()
                return

    async def _send(self, batch: Batch) -> None:
        if not batch.packets:
            return
        if self._connection is None:
            self._connection = await self._destination.route.connect()
        if not self._destination.acknowledged:
            await self._connection.send(batch.packets)
            return
        # Messages are taken in their order: who acknowledges the last one has them all.
        chunk = secrets.token_urlsafe(16)
        await self._connection.send([*batch.packets[:-1], with_chunk(batch.packets[-1], chunk)])
        await self._connection.confirm(chunk)

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _pause(self, seconds: float) -> None:
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((stopping,), timeout=seconds)
        finally:
            stopping.cancel()

    async def _save(self) -> None:
        """Write down how far delivery has come: a daemon that is killed sends a second, or a few batches, twice."""
        now = times.now()
        due = now - self._saved_at >= _SAVE_NANOSECONDS or self._unsaved >= _SAVE_BATCHES
        if self._delivered != self._saved and due:
            self._saved, self._saved_at, self._unsaved = self._delivered, now, 0
            try:
                await asyncio.to_thread(self._source.save, self._saved)
            except OSError as error:
                self._not_saved(error)
