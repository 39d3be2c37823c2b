"""Space that is kept back for the day when the disk is full: to delete something must always be possible.

A file that is given back to the file system when a write finds no space, and taken again when there is some.
"""

import contextlib
import os
from pathlib import Path

_SIZE = 1 << 20


class Reserve:
    """The file. Everything here blocks; for the writer's thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = False

    def take(self) -> None:
        """Allocate the space where it is not allocated; nothing happens on a full disk."""
        if self._held:
            return
        with contextlib.suppress(OSError):
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, _SIZE)
                self._held = True
            finally:
                os.close(fd)

    def give_back(self) -> None:
        """Let others have the space."""
        self._held = False
        with contextlib.suppress(OSError):
            os.truncate(self._path, 0)
