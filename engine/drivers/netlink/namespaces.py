"""Network namespaces that are kept by a bind mount in one directory.

All functions block; call those that enter or leave a namespace in a thread of its own (`threads.in_own_thread`).
"""

import contextlib
import os
import threading
from pathlib import Path

from engine.drivers.linux import syscalls


class Namespaces:
    """The namespaces below a directory, by file name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def prepare(self) -> None:
        """Make the directory. Blocks; call in a thread."""
        self._directory.mkdir(mode=0o710, parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Return where a namespace is bound."""
        return self._directory / name

    def enter_new(self, name: str) -> int:
        """Make a namespace, move the calling thread into it, keep it, and return a descriptor of it.

        For a thread of its own only.
        """
        path = self.path(name)
        path.touch(mode=0o400, exist_ok=False)
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            own = f"/proc/self/task/{threading.get_native_id()}/ns/net"
            syscalls.mount(own, path, flags=syscalls.MS_BIND)
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            self.remove(name)
            raise

    def enter_of(self, pid: int, name: str) -> int:
        """Keep the namespace of a process, move the calling thread into it, and return a descriptor of it.

        For a thread of its own only.
        """
        path = self.path(name)
        path.touch(mode=0o400, exist_ok=False)
        try:
            syscalls.mount(f"/proc/{pid}/ns/net", path, flags=syscalls.MS_BIND)
            return self.enter(path)
        except BaseException:
            self.remove(name)
            raise

    def enter(self, path: str | Path) -> int:
        """Move the calling thread into the namespace at `path`; return a descriptor of it. For a thread of its own."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(fd, syscalls.CLONE_NEWNET)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def remove(self, name: str) -> None:
        """Let a namespace go; it ends with its last process. Idempotent. Blocks; call in a thread."""
        path = self.path(name)
        with contextlib.suppress(OSError):  # EINVAL: not mounted; ENOENT: not there
            syscalls.umount(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
        path.unlink(missing_ok=True)

    def all(self) -> list[str]:
        """Return the names of all namespaces that are kept. Blocks; call in a thread."""
        return [p.name for p in self._directory.iterdir()]
