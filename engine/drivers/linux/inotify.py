"""inotify(7): learn that something changed in a directory. One kernel instance for the whole event loop.

The number of instances per user is small (128 by default), so all watches share one. It is kept once it is there: to
close one takes the kernel up to 20 ms (a grace period of fsnotify's SRCU), on the event loop.
Says only *that* something changed: whoever asks looks for himself. Changes that come in quick succession are reported
together, at most once in `QUIET` seconds.
"""

import asyncio
import ctypes
import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path
from weakref import WeakKeyDictionary

QUIET = 0.02
_IN_MODIFY, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE_SELF = 0x2, 0x80, 0x100, 0x400
_IN_ONLYDIR = 0x01000000
_IN_IGNORED, _IN_Q_OVERFLOW = 0x8000, 0x4000
_MASK = _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE_SELF | _IN_ONLYDIR
_HEAD = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)
Callback = Callable[[], None]


class DirectoryWatch:
    """Calls back on the loop after something in the directory was made, written or renamed, until it is closed."""

    def __init__(self, directory: Path, callback: Callback) -> None:
        """Start watching. Raises OSError where the directory is missing or the kernel has no more watches."""
        self._hub = _hub_of_running_loop()
        self._callback = callback
        self._wd = self._hub.add(directory, callback)

    def close(self) -> None:
        """Stop watching. Idempotent."""
        if self._wd >= 0:
            self._hub.discard(self._wd, self._callback)
            self._wd = -1


class _Hub:
    """The instance of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._callbacks: dict[int, list[Callback]] = {}
        self._fd = -1
        self._timer: asyncio.TimerHandle | None = None

    def add(self, directory: Path, callback: Callback) -> int:
        if self._fd < 0:
            self._fd = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")
            self._loop.add_reader(self._fd, self._readable)
        wd = _checked(_libc.inotify_add_watch(self._fd, os.fsencode(directory), _MASK), str(directory))
        self._callbacks.setdefault(wd, []).append(callback)
        return wd

    def discard(self, wd: int, callback: Callback) -> None:
        callbacks = self._callbacks.get(wd, [])
        if callback in callbacks:
            callbacks.remove(callback)
        if not callbacks and self._callbacks.pop(wd, None) is not None:
            _libc.inotify_rm_watch(self._fd, wd)

    def _readable(self) -> None:
        changed = self._drain()
        self._loop.remove_reader(self._fd)
        self._timer = self._loop.call_later(QUIET, self._listen_again)
        for wd in changed:
            for callback in list(self._callbacks.get(wd, ())):
                callback()

    def _listen_again(self) -> None:
        self._timer = None
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._readable)

    def _drain(self) -> set[int]:
        """Read all that is queued; return the watches that it concerns."""
        changed: set[int] = set()
        while True:
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                return changed
            position = 0
            while position < len(data):
                wd, mask, _, length = _HEAD.unpack_from(data, position)
                position += _HEAD.size + length
                changed.add(wd)
                if mask & _IN_Q_OVERFLOW:
                    changed.update(self._callbacks)
                if mask & _IN_IGNORED:
                    self._loop.call_soon(self._callbacks.pop, wd, None)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, _Hub] = WeakKeyDictionary()


def _hub_of_running_loop() -> _Hub:
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        _hubs[loop] = hub = _Hub(loop)
    return hub


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno() or errno.EIO
        raise OSError(number, os.strerror(number), what)
    return result
