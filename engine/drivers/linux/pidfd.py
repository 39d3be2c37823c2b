"""Process descriptors: learn of a process's end on the event loop, whoever's child it is."""

import asyncio
import os
import signal
from collections.abc import Callable


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor of the process, or None where it is gone."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


class ExitWatch:
    """Calls back once, on the loop, when the process ends; `close()` forgets it. A pid that is gone calls back soon."""

    def __init__(self, pid: int, callback: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._callback = callback
        self._fd = open_pidfd(pid)
        if self._fd is None:
            self._loop.call_soon(callback)
        else:
            self._loop.add_reader(self._fd, self._ended)

    def _ended(self) -> None:
        self.close()
        self._callback()

    def close(self) -> None:
        """Stop watching."""
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None


async def wait_exit(pid: int) -> None:
    """Return when the process is gone (or a zombie)."""
    ended = asyncio.Event()
    watch = ExitWatch(pid, ended.set)
    try:
        await ended.wait()
    finally:
        watch.close()


def send_signal(pidfd: int, number: int) -> None:
    """Signal the process behind the descriptor; nothing happens where it is gone."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return
