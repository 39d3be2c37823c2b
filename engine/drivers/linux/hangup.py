"""Tells when the far end of a socket is gone altogether, for sockets that are no longer read.

A client that has shut down its sending side leaves nothing to read, so its later end would go unnoticed until
something is written to it. The kernel reports it as EPOLLHUP, whatever is asked for (epoll_ctl(2)): for Unix sockets
when the peer closes, for TCP when it resets the connection.
"""

import asyncio
import contextlib
import select
from collections.abc import Callable


class HangupWatch:
    """One epoll instance for all such sockets, which the event loop reads as one descriptor."""

    def __init__(self) -> None:
        """Start watching on the running loop."""
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._epoll.fileno(), self._report)

    def add(self, fd: int, gone: Callable[[], None]) -> None:
        """Call `gone` once when the peer of the socket is gone. The descriptor must stay open until `discard`."""
        self._callbacks[fd] = gone
        try:
            self._epoll.register(fd, 0)
        except FileExistsError:
            self._epoll.modify(fd, 0)

    def discard(self, fd: int, gone: Callable[[], None]) -> None:
        """Stop watching; nothing happens where the number serves another socket by now."""
        if self._callbacks.get(fd) is not gone:
            return
        del self._callbacks[fd]
        # A closed descriptor has left the set by itself.
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)

    def _report(self) -> None:
        for fd, _ in self._epoll.poll(0):
            gone = self._callbacks.get(fd)
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)
            if gone is not None:
                del self._callbacks[fd]
                gone()

    def close(self) -> None:
        """Stop watching everything."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._callbacks.clear()
