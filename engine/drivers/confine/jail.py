"""A process's way into confinement, for good: a root of its own, few capabilities, bounded memory, no exec.

Each function acts on the calling process, which must have one thread.
"""

import contextlib
import errno
import fcntl
import os
import resource

from engine.drivers.linux import syscalls

_CHOWN, _DAC_OVERRIDE, _DAC_READ_SEARCH, _FOWNER, _FSETID, _SYS_ADMIN, _MKNOD, _SETFCAP = 0, 1, 2, 3, 4, 21, 27, 31
# What writing other people's files takes; SYS_ADMIN for the `trusted.` attributes that overlayfs reads.
_KEPT = (_CHOWN, _DAC_OVERRIDE, _DAC_READ_SEARCH, _FOWNER, _FSETID, _SYS_ADMIN, _MKNOD, _SETFCAP)
_NS_GET_USERNS = 0xB701
_MEMORY = 2 << 30  # Address space of a worker, in bytes.


def leave_host() -> None:
    """Move to a mount namespace that holds nothing but an empty directory: no mount of the host is kept alive."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    fs = syscalls.fsopen("tmpfs")
    syscalls.fsconfig_string(fs, "size", "4k")
    syscalls.fsconfig_create(fs)
    empty = syscalls.fsmount(fs)
    os.close(fs)
    _become_root(empty)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)


def enter(tree: int) -> None:
    """Make the detached mount `tree` the process's root, in a mount namespace of its own, and give up what it can."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    _become_root(tree)
    _give_up()


def enter_namespace(namespace: int) -> None:
    """Make a copy of a container's mount namespace the process's own, and give up what it can.

    As it is a copy, the container can no longer change what is mounted where. The kernel's own filesystems are left
    out: nothing in them is the container's.
    """
    _enter_users_of(namespace)
    syscalls.setns(namespace, syscalls.CLONE_NEWNS)
    os.close(namespace)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    for path in ("/proc", "/sys", "/dev"):
        with contextlib.suppress(OSError):
            syscalls.umount(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
    os.chdir("/")
    _give_up()


def _enter_users_of(namespace: int) -> None:
    """Be root, and no more than root, of the user namespace that a mount namespace belongs to (ioctl_ns(2))."""
    users = fcntl.ioctl(namespace, _NS_GET_USERNS)
    try:
        syscalls.setns(users, syscalls.CLONE_NEWUSER)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return  # It is ours already.
    finally:
        os.close(users)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _give_up() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    syscalls.limit_capabilities(sum(1 << number for number in _KEPT))


def _become_root(mount: int) -> None:
    """Put a detached mount on top of `/`, and let go of what was there (pivot_root(2), "pivot_root(".", ".")")."""
    syscalls.move_mount(mount, "/")
    os.fchdir(mount)
    # A tree cloned where `/` is shared, as systemd makes it, is shared too, and pivot_root refuses that.
    syscalls.mount("none", ".", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.pivot_root(".", ".")
    syscalls.umount(".", syscalls.MNT_DETACH)
    os.chdir("/")
    os.close(mount)
