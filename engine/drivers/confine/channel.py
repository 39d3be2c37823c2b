"""A bounded queue of byte pieces between two threads, which either end can close."""

import threading
from collections import deque


class Channel:
    """`put` waits while `limit` pieces are on the way; `get` returns b"" at the end, or raises what ended it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: deque[bytes | memoryview] = deque()
        self._ended = False
        self._abandoned = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, piece: bytes | memoryview) -> bool:
        """Hand a piece over; False where the reader has gone."""
        with self._changed:
            while len(self._pieces) >= self._limit and not self._abandoned:
                self._changed.wait()
            self._pieces.append(piece)
            self._changed.notify_all()
            return not self._abandoned

    def end(self, error: BaseException | None = None) -> None:
        """Say that nothing follows, or why not."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def get(self) -> bytes | memoryview:
        """Return the next piece; b"" at the end. Raises the error that the writer ended with."""
        with self._changed:
            while not self._pieces:
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return b""
                self._changed.wait()
            if len(self._pieces) == self._limit:
                self._changed.notify_all()
            return self._pieces.popleft()

    def abandon(self) -> None:
        """Read no more; the writer learns of it."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
