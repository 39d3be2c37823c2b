"""A pipe on which a program writes, read on the event loop."""

import asyncio
import os
from collections.abc import Callable

_CHUNK = 1 << 16


class OutputPipe:
    """Hands over what arrives until its end. `child_end` is for the program; then `start`, or else `abandon`."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        """Needs a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._sink = sink
        self._fd, self.child_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._fd, False)
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def start(self) -> None:
        """Read; the program has its end."""
        os.close(self.child_end)
        self._loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        if data:
            self._sink(data)
        else:
            self.close()

    def close(self) -> None:
        """Read no more."""
        if not self.ended.done():
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self.ended.set_result(None)

    def abandon(self) -> None:
        """Close both ends: no program was started."""
        os.close(self._fd)
        os.close(self.child_end)
