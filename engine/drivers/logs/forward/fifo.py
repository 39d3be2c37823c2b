"""Logs for plugins: each connection is a FIFO that the plugin is told to read, from `StartLogging` to `StopLogging`.

A plugin may open its end before it answers, after it, or never: whoever writes waits for it, and nobody else does.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.core import ids
from engine.core.errors import WharfError
from engine.drivers.linux.pipes import ready, unread
from engine.drivers.logs.forward.address import DialFailed
from engine.drivers.logs.forward.connection import Connection

_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.2
# How long (seconds) a plugin may leave unread what it was sent before its log is ended all the same.
_PATIENCE = 1.0
_PREFIX = "wharf"


class Listener(Protocol):
    """The plugin's side. `file` is the FIFO's name, without its directory."""

    async def begin(self, file: str) -> None:
        """Tell the plugin to read. Raises WharfError."""

    async def end(self, file: str) -> None:
        """Tell the plugin that this was all. Raises WharfError."""


@dataclass(frozen=True, slots=True)
class FifoDirectory:
    """Where FIFOs are made. `owner` names this daemon among all that use the directory."""

    path: Path
    owner: str

    def make(self) -> Path:
        """Make a FIFO. Raises OSError. Blocks; call in a thread."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        fifo = self.path / f"{self._prefix}{ids.new_id()}"
        os.mkfifo(fifo, 0o700)
        return fifo

    def clean(self) -> None:
        """Remove what an earlier run of this daemon left. Raises OSError. Blocks; call in a thread."""
        for fifo in self.path.glob(f"{self._prefix}*"):
            fifo.unlink(missing_ok=True)

    @property
    def _prefix(self) -> str:
        return f"{_PREFIX}-{hashlib.sha256(self.owner.encode()).hexdigest()[:16]}-"


@dataclass(frozen=True, slots=True)
class FifoRoute:
    """How a log reaches a plugin."""

    directory: FifoDirectory
    listener: Listener

    async def connect(self) -> Connection:
        """Return a connection that the plugin has agreed to. Raises DialFailed."""
        try:
            fifo = await asyncio.to_thread(self.directory.make)
        except OSError as error:
            raise DialFailed(str(error)) from error
        connection = FifoConnection(fifo, self.listener)
        try:
            await connection.begin()
        except WharfError as error:
            await connection.drop()
            raise DialFailed(f"error creating logger: {error}") from error
        except BaseException:
            await asyncio.shield(connection.drop())
            raise
        return connection


class FifoConnection:
    """One FIFO. Writes are as a collector's: what the kernel has taken counts as sent."""

    def __init__(self, fifo: Path, listener: Listener) -> None:
        self._fifo = fifo
        self._listener = listener
        self._descriptor = -1

    async def begin(self) -> None:
        """Have the plugin told; one that opens its end before it answers must not wait for ours."""
        telling = asyncio.ensure_future(self._listener.begin(self._fifo.name))
        try:
            for pause in _pauses():
                if self._opened():
                    break
                await asyncio.wait((telling,), timeout=pause)
                if telling.done():
                    break
            await telling
        finally:
            telling.cancel()

    def _opened(self) -> bool:
        """Open our end if the plugin has opened its own; a look at a local file, which blocks for no time."""
        if self._descriptor < 0:
            try:
                self._descriptor = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
        return self._descriptor >= 0

    async def send(self, packets: Sequence[bytes]) -> None:
        """Write the packets. Raises BrokenPipeError when the plugin has closed its end."""
        for pause in _pauses():
            if self._opened():
                break
            await asyncio.sleep(pause)
        rest = memoryview(b"".join(packets))
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                await ready(self._descriptor, write=True)

    async def confirm(self, chunk: str) -> None:
        """Plugins do not acknowledge."""

    async def close(self) -> None:
        """End the log: the plugin has time to read what is left, as long as it reads at all."""
        if self._descriptor >= 0:
            await self._drained()
        with contextlib.suppress(WharfError):
            await self._listener.end(self._fifo.name)
        await self.drop()

    async def _drained(self) -> None:
        last, deadline = -1, 0.0
        while left := unread(self._descriptor):
            if left != last:
                last, deadline = left, time.monotonic() + _PATIENCE
            elif time.monotonic() > deadline:
                return
            await asyncio.sleep(0.005)

    async def drop(self) -> None:
        """Close and remove the FIFO."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        with contextlib.suppress(OSError):
            await asyncio.to_thread(_remove, self._fifo)


def _remove(fifo: Path) -> None:
    """Remove a FIFO; a plugin that waits for somebody to open its other end meets its end. Blocks; call in a thread."""
    both_ends = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fifo.unlink()
    finally:
        os.close(both_ends)


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 1.5, _LAST_PAUSE)
