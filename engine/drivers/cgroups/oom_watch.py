"""Learn at once that the kernel killed in a container's cgroup for want of memory.

v1: an eventfd registered with `memory.oom_control` (kernel, cgroup-v1/memory.rst, "OOM Control"). v2: the kernel
reports changes of `memory.events` to inotify (cgroup-v2.rst).
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from engine.drivers.linux.inotify import DirectoryWatch


class OomWatch:
    """Calls back on the loop whenever there may have been such a kill, until it is closed."""

    def __init__(self, directory: Path, told: Callable[[], None], *, v2: bool) -> None:
        """Start watching the cgroup at `directory`. Raises OSError."""
        self._told = told
        self._events = -1
        self._watch: DirectoryWatch | None = None
        if v2:
            self._watch = DirectoryWatch(directory, told)
        else:
            self._events = _registered(directory)
            asyncio.get_running_loop().add_reader(self._events, self._readable)

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._events)
        self._told()

    def close(self) -> None:
        """Stop watching. Idempotent."""
        if self._watch is not None:
            self._watch.close()
        if self._events >= 0:
            asyncio.get_running_loop().remove_reader(self._events)
            os.close(self._events)
            self._events = -1


def _registered(directory: Path) -> int:
    """Two small files of the kernel's."""
    events = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        control = os.open(directory / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        try:
            (directory / "cgroup.event_control").write_text(f"{events} {control}")
        finally:
            os.close(control)
    except BaseException:
        os.close(events)
        raise
    return events
