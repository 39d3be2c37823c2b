"""Parts of trees that others can change, pinned: resolved once by the kernel, then mounted at a place of our own.

No link leads out of the tree, and whatever is done to it meanwhile, what was found is what is mounted (CVE-2024-23651).
Everything here blocks; call in a thread.
"""

import contextlib
import os
import stat
from pathlib import Path

from engine.drivers.linux import syscalls

_RESOLVE = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS


def pin(root: Path, path: str, target: Path) -> None:
    """Mount what a tree has at `path` on `target`, which is made. Raises OSError that names the path in the tree."""
    try:
        found = find(root, path.strip("/") or ".", _RESOLVE)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"/{path.strip('/')}") from error
    bind(found, target, syscalls.MS_BIND)


def find(root: Path, path: str, resolve: int) -> int:
    """Return a descriptor (`O_PATH`) of what a tree has at `path`; `resolve` as of openat2(2). Raises OSError."""
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return syscalls.openat2(top, path, os.O_PATH, resolve=resolve)
    finally:
        os.close(top)


def bind(found: int, target: Path, flags: int) -> None:
    """Mount what was found on `target`, which is made, and close it; `flags` as of mount(2). Raises OSError."""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_ISDIR(os.fstat(found).st_mode):
            target.mkdir()
        else:
            target.touch()
        syscalls.mount(f"/proc/self/fd/{found}", target, flags=flags)
    finally:
        os.close(found)


def unpin_all(directory: Path) -> None:
    """Unmount what is mounted on what a directory holds; nothing happens where there is none."""
    if not directory.is_dir():
        return
    for target in list(directory.iterdir()):
        with contextlib.suppress(OSError):
            syscalls.umount(target, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
