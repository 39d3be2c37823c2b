"""System calls that Python's `os` lacks on the oldest Python we support.

Every function raises OSError with the kernel's errno. Those that can wait on the disk or on another process say
"Blocks; call in a thread".
"""

import ctypes
import os

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 4096, 8192, 16384, 1 << 18, 1 << 19, 1 << 20
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
CLONE_FS, CLONE_NEWNS, CLONE_NEWNET = 0x200, 0x20000, 0x40000000
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 1, 2, 4, 8, 16
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_OPENAT2 = 437
_SYS_PIDFD_GETFD = 438

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _check(result: int, *names: str | os.PathLike[str]) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *(os.fspath(n) for n in names[:1]))
    return result


def _bytes(path: str | os.PathLike[str]) -> bytes:
    return os.fsencode(os.fspath(path))


def mount(
    source: str | os.PathLike[str], target: str | os.PathLike[str], fstype: str = "", flags: int = 0, data: str = ""
) -> None:
    """mount(2). Blocks; call in a thread."""
    payload = data.encode() if data else None
    _check(_libc.mount(_bytes(source), _bytes(target), fstype.encode() or None, ctypes.c_ulong(flags), payload), target)


def umount(target: str | os.PathLike[str], flags: int = 0) -> None:
    """umount2(2). Blocks; call in a thread."""
    _check(_libc.umount2(_bytes(target), flags), target)


def unshare(flags: int) -> None:
    """unshare(2), for the calling thread."""
    _check(_libc.unshare(flags))


def setns(fd: int, kind: int = 0) -> None:
    """setns(2), for the calling thread."""
    _check(_libc.setns(fd, kind))


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    _check(_libc.syscall(_SYS_PIVOT_ROOT[os.uname().machine], _bytes(new_root), _bytes(put_old)), new_root)


def openat2(dirfd: int, path: str | bytes, flags: int, *, resolve: int, mode: int = 0) -> int:
    """openat2(2) (Linux 5.6): open with the kernel enforcing how `path` may be resolved. Returns a descriptor."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    raw = path if isinstance(path, bytes) else os.fsencode(path)
    return _check(_libc.syscall(_SYS_OPENAT2, dirfd, raw, ctypes.byref(how), ctypes.sizeof(how)), os.fsdecode(raw))
