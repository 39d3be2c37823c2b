"""Keeps the logs of running containers within bounds, without losing or doubling a line.

conmon writes `LOG`; told so through its control pipe, it puts a new file in its place (a rename over the name, after
its last write to the old file). So the old file is given the further name `LOG.1` first, and conmon is told then: at
any instant all of the log is there, and a daemon that is killed half way goes on where it was, since the two names of
one file say how far it got. conmon itself is given no limit: its own way of rotating throws the log away.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.drivers.linux.inotify import DirectoryWatch
from engine.drivers.linux.pipes import unread
from engine.drivers.logs.files import Identity, identity_of, numbered
from engine.drivers.logs.shrink import PACKED, keep_end, pack

log = logging.getLogger(__name__)
CHECK_DELAY = 0.1
_POLL_SECONDS = 1.0
_ASK_AGAIN_SECONDS = 10.0
# conmon's control pipe: a kind of message (2: reopen the log) and two numbers that it ignores. Source: conmon, ctrl.c.
_REOPEN = b"2 0 0\n"


@dataclass(frozen=True, slots=True)
class LogBounds:
    """Bytes of one file, how many files, whether older ones are compressed; the sizes are Docker's `local` driver's."""

    max_size: int = 20 << 20
    max_files: int = 5
    compress: bool = False

    @property
    def all_files(self) -> int:
        """Bytes of all files together."""
        return self.max_size * self.max_files


class Rotator:
    """Rotates the logs that have been added. Lives on the event loop; `close` at the end."""

    def __init__(self) -> None:
        self._logs: dict[str, _BoundLog] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, container_id: str, log_path: Path, ctl_path: Path, bounds: LogBounds) -> None:
        """Keep a log within bounds from now on. The files need not exist yet; their directory must."""
        self.remove(container_id)
        self._logs[container_id] = _BoundLog(LogFile(log_path, ctl_path, bounds), self._spawn)

    def remove(self, container_id: str) -> None:
        """Watch a log no longer; nothing happens where it is not watched."""
        bound = self._logs.pop(container_id, None)
        if bound is not None:
            bound.close()

    def _spawn(self, bound: "_BoundLog") -> None:
        task = asyncio.get_running_loop().create_task(bound.check(), name="log-rotation")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Watch nothing any more and finish what is under way."""
        for container_id in list(self._logs):
            self.remove(container_id)
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _BoundLog:
    """Looks at one log soon after it has changed."""

    def __init__(self, file: "LogFile", spawn: "Callable[[_BoundLog], None]") -> None:
        self._file = file
        self._spawn = spawn
        self._timer: asyncio.TimerHandle | None = None
        self._lock = asyncio.Lock()
        self._closed = False
        self._watch: DirectoryWatch | None = None
        try:
            self._watch = DirectoryWatch(file.path.parent, self.changed)
        except OSError as error:
            log.warning("%s is looked at every second, as it cannot be watched: %s", file.path, error)
        self.changed()

    def changed(self) -> None:
        """Look soon."""
        self._look_in(CHECK_DELAY)

    def _look_in(self, seconds: float) -> None:
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        self._spawn(self)

    async def check(self) -> None:
        """Rotate where the log has grown too large."""
        async with self._lock:
            try:
                await asyncio.to_thread(self._file.keep_within_bounds)
            except OSError as error:
                log.warning("%s cannot be rotated: %s", self._file.path, error)
        if self._watch is None:
            self._look_in(_POLL_SECONDS)

    def close(self) -> None:
        """Look no more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watch is not None:
            self._watch.close()


class LogFile:
    """One log on disk. All methods block; call them in a thread."""

    def __init__(self, path: Path, ctl: Path, bounds: LogBounds) -> None:
        self.path = path
        self._ctl = ctl
        self._bounds = bounds
        self._asked: tuple[Identity, float] | None = None

    def keep_within_bounds(self) -> None:
        """Do the next step of a rotation, if any is due. Raises OSError."""
        current = identity_of(self.path)
        if current is None:
            return
        older = self._numbered(1)
        linked = identity_of(older) == current
        size = self.path.stat().st_size
        if not linked:
            if size:
                self._drop_surplus(self._bounds.max_files)
            self._shrink()
        if size < self._bounds.max_size:
            return
        if not linked:
            self._make_room()
            os.link(self.path, older)
        self._ask(current)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _shrink(self) -> None:
        """What was written faster than it could be rotated is cut; what is complete is compressed where asked."""
        for _, name in numbered(self.path):
            if name.suffix != PACKED:
                cut(name, self._bounds)
                if self._bounds.compress:
                    pack(name)

    def _drop_surplus(self, files: int) -> None:
        for number, name in numbered(self.path):
            if number >= files:
                name.unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Give each older file the next number, the oldest first, so that the order is right at any instant."""
        self._drop_surplus(max(self._bounds.max_files - 1, 1))
        for number, name in reversed(numbered(self.path)):
            suffix = PACKED if name.suffix == PACKED else ""
            name.rename(self.path.with_name(f"{self.path.name}.{number + 1}{suffix}"))

    def _ask(self, current: Identity) -> None:
        """Tell conmon to begin a new file: once, as a second time would throw away the new one."""
        now = time.monotonic()
        if self._asked is not None and self._asked[0] == current and now - self._asked[1] < _ASK_AGAIN_SECONDS:
            return
        try:
            fd = os.open(self._ctl, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return  # No pipe, or nobody reads it: the container is over, nothing grows.
        try:
            if not unread(fd):
                os.write(fd, _REOPEN)
                self._asked = (current, now)
        finally:
            os.close(fd)


def cut(path: Path, bounds: LogBounds) -> None:
    """Bring a file that nobody writes any more within the bounds, where it is far beyond them.

    It grew too fast, or while no daemon was there. Blocks; call in a thread. Raises OSError.
    """
    if path.exists() and path.stat().st_size > 2 * bounds.all_files:
        keep_end(path, bounds.all_files)
