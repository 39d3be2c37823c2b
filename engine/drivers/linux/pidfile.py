"""Files that say which process is the daemon, held by a lock that the kernel drops with the process.

A record lock (fcntl(2)) belongs to one process: forked workers do not inherit it, and a process id that another program
has got since does not count as a daemon that lives.
"""

import contextlib
import fcntl
import os
from pathlib import Path


class StillRunning(Exception):
    """Another living process holds the file."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(f"process with PID {pid or '?'} is still running: it holds {path}")


class PidFile:
    """One such file, from `take` to `release`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def take(self) -> None:
        """Write our process id. Raises StillRunning, OSError."""
        while self._fd < 0:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                self._lock(fd)
                # A predecessor may have removed the file between our open and our lock.
                if self._is_current(fd):
                    self._write(fd)
                    self._fd = fd
            finally:
                if self._fd != fd:
                    os.close(fd)

    def _lock(self, fd: int) -> None:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StillRunning(self._path, os.pread(fd, 32, 0).decode(errors="replace").strip()) from None

    def _is_current(self, fd: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return self._path.stat().st_ino == os.fstat(fd).st_ino
        return False

    @staticmethod
    def _write(fd: int) -> None:
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Remove the file."""
        if self._fd < 0:
            return
        self._path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1
