"""System calls that Python's `os` lacks on the oldest Python we support.

Every function raises OSError with the kernel's errno. Those that can wait on the disk or on another process say
"Blocks; call in a thread".
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 4096, 8192, 16384, 1 << 18, 1 << 19, 1 << 20
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
CLONE_FS, CLONE_FILES, CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x200, 0x400, 0x20000, 0x10000000, 0x40000000
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 1, 2, 4, 8, 16
OPEN_TREE_CLONE, AT_EMPTY_PATH, AT_RECURSIVE = 1, 0x1000, 0x8000
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
PR_SET_PDEATHSIG, PR_SET_NAME, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 15, 24, 38
_AT_FDCWD = -100
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 4, 0x40
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 428, 429, 430, 431, 432
_SYS_CLOSE_RANGE = 436
_SYS_OPENAT2 = 437
_SYS_PIDFD_GETFD = 438
_SYS_MOUNT_SETATTR = 442
_MOUNT_ATTR_IDMAP = 0x100000
_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP = 28, 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


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


def close_range(first: int, last: int) -> None:
    """close_range(2) (Linux 5.9): close all descriptors from `first` to `last`, open or not."""
    _check(_libc.syscall(_SYS_CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(0)))


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


def open_tree(path: str | os.PathLike[str], flags: int = 0) -> int:
    """open_tree(2) (Linux 5.2): a descriptor of a mount; OPEN_TREE_CLONE makes a new, detached one. Blocks."""
    return _check(_libc.syscall(_SYS_OPEN_TREE, _AT_FDCWD, _bytes(path), ctypes.c_uint(flags | os.O_CLOEXEC)), path)


def move_mount(mount_fd: int, target: str | os.PathLike[str]) -> None:
    """move_mount(2) (Linux 5.2): attach a detached mount at `target`. Blocks; call in a thread."""
    flags = ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH)
    _check(_libc.syscall(_SYS_MOVE_MOUNT, mount_fd, b"", _AT_FDCWD, _bytes(target), flags), target)


def move_mount_at(mount_fd: int, target_fd: int) -> None:
    """move_mount(2): attach a detached mount at what a descriptor, kept open, stands for. Blocks; call in a thread."""
    flags = ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH)
    _check(_libc.syscall(_SYS_MOVE_MOUNT, mount_fd, b"", target_fd, b"", flags))


def mount_setattr(mount_fd: int, attributes: int) -> None:
    """mount_setattr(2) (Linux 5.12): add MOUNT_ATTR_* to the mount behind the descriptor."""
    attr = _MountAttr(attributes, 0, 0, 0)
    flags = ctypes.c_uint(AT_EMPTY_PATH)
    _check(_libc.syscall(_SYS_MOUNT_SETATTR, mount_fd, b"", flags, ctypes.byref(attr), ctypes.sizeof(attr)))


def map_ids(mount_fd: int, user_namespace: int) -> None:
    """mount_setattr(2): map the ids of a detached mount as a user namespace does (Linux 5.12). Blocks."""
    attr = _MountAttr(_MOUNT_ATTR_IDMAP, 0, 0, user_namespace)
    flags = ctypes.c_uint(AT_EMPTY_PATH)
    _check(_libc.syscall(_SYS_MOUNT_SETATTR, mount_fd, b"", flags, ctypes.byref(attr), ctypes.sizeof(attr)))


@contextlib.contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Let the calling thread make files as somebody else while it keeps its capabilities (setfsuid(2))."""
    prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    try:
        _libc.setfsgid(gid)
        _libc.setfsuid(uid)
        yield
    finally:
        _libc.setfsuid(os.geteuid())
        _libc.setfsgid(os.getegid())
        prctl(_PR_SET_SECUREBITS, 0)


def fsopen(fstype: str) -> int:
    """fsopen(2) (Linux 5.2): a descriptor for making a filesystem instance."""
    return _check(_libc.syscall(_SYS_FSOPEN, fstype.encode(), 1), fstype)


def fsconfig_string(fs_fd: int, key: str, value: str | os.PathLike[str]) -> None:
    """fsconfig(2): set one option. Blocks; call in a thread."""
    _check(_libc.syscall(_SYS_FSCONFIG, fs_fd, _FSCONFIG_SET_STRING, key.encode(), _bytes(value), 0), value)


def fsconfig_flag(fs_fd: int, key: str) -> None:
    """fsconfig(2): set one option that has no value. Blocks; call in a thread."""
    _check(_libc.syscall(_SYS_FSCONFIG, fs_fd, _FSCONFIG_SET_FLAG, key.encode(), None, 0), key)


def fsconfig_create(fs_fd: int) -> None:
    """fsconfig(2): make the instance from the options set. Blocks; call in a thread."""
    _check(_libc.syscall(_SYS_FSCONFIG, fs_fd, _FSCONFIG_CMD_CREATE, None, None, 0))


def fsmount(fs_fd: int) -> int:
    """fsmount(2): a descriptor of a detached mount of the instance. Blocks; call in a thread."""
    return _check(_libc.syscall(_SYS_FSMOUNT, fs_fd, 1, 0))


def prctl(option: int, value: int | bytes) -> None:
    """prctl(2) with one argument."""
    argument = value if isinstance(value, bytes) else ctypes.c_ulong(value)
    _check(_libc.prctl(option, argument, ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def limit_capabilities(kept: int) -> None:
    """capset(2): leave the calling thread only the capabilities in `kept`, a bit set, and no inheritable one."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(header, data))
    for word in (0, 1):
        bits = kept >> (32 * word) & 0xFFFFFFFF
        data[3 * word] &= bits
        data[3 * word + 1] &= bits
        data[3 * word + 2] = 0
    _check(_libc.capset(header, data))
