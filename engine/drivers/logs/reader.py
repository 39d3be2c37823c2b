"""`docker logs`: the log of a container as a stream of chunks, followed to the container's end where asked.

Files are read and cut in a thread, a block at a time, so that neither a long log nor many readers hold up the event
loop. A follower sleeps until inotify tells it of a change. What the records look like is in `parse.py`, which files
make up a log in `files.py`.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

from engine.drivers.logs.changes import Changes
from engine.drivers.logs.files import LogSequence
from engine.drivers.logs.options import LogChunk, LogOptions
from engine.drivers.logs.parse import Parser

__all__ = ["LogChunk", "LogOptions", "read"]
_BLOCK = 256 << 10


async def read(path: Path, options: LogOptions, ended: asyncio.Event | None = None) -> AsyncGenerator[LogChunk, None]:
    """Yield the log's output, oldest first; a log that does not exist is an empty one.

    With `options.follow`, go on until `ended` is set and the last byte is read, or until `options.until`.
    Raises OSError.
    """
    source = _Source(path, options)
    changes = Changes(path.parent, ended) if options.follow and ended is not None else None
    try:
        while True:
            last = changes is None or changes.arm()
            more = True
            while more:
                chunks, more = await asyncio.to_thread(source.next)
                for chunk in chunks:
                    yield chunk
            if last or changes is None or not await changes.wait(options.until):
                break
        for chunk in source.rest():
            yield chunk
    finally:
        if changes is not None:
            changes.close()
        if not source.closed:
            # Not awaited: a thread that is still reading for us finishes first, and the loop need not wait for that.
            asyncio.get_running_loop().run_in_executor(None, source.close)


class _Source:
    """The side of a reader that works in threads, one call at a time."""

    def __init__(self, path: Path, options: LogOptions) -> None:
        self._path = path
        self._options = options
        self._parser = Parser(options)
        self._sequence: LogSequence | None = None
        self._lock = threading.Lock()
        self.closed = False

    def next(self) -> tuple[list[LogChunk], bool]:
        """Return some chunks, and whether there are more for now; close at the end of what is not followed.

        Blocks; call in a thread.
        """
        chunks: list[LogChunk] = []
        taken = 0
        with self._lock:
            while not self.closed:
                if self._sequence is None:
                    self._sequence = LogSequence(self._path, tail=self._options.tail, follow=self._options.follow)
                data = self._sequence.read(_BLOCK)
                if not data:
                    break
                chunks += self._parser.feed(data)
                taken += len(data)
                if chunks and taken >= _BLOCK:
                    return chunks, True
        if not self._options.follow:
            self.close()
        return chunks, False

    def rest(self) -> list[LogChunk]:
        """Return what waited for the end of its line."""
        return self._parser.rest()

    def close(self) -> None:
        """Close the files. Blocks; call in a thread."""
        self.closed = True
        with self._lock:
            if self._sequence is not None:
                self._sequence.close()
