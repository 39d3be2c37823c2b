"""The option string of a mount (`ro,nosuid,size=1m`): flags for the kernel, the rest for the file system.

Source: mount(8), and the names that Moby's `sys/mount` package takes. Pure.
"""

from typing import NamedTuple

from engine.drivers.linux import syscalls

_NODIRATIME, _NOATIME, _SYNC, _DIRSYNC, _MANDLOCK = 2048, 1024, 16, 128, 64
_RELATIME, _STRICTATIME, _UNBINDABLE = 1 << 21, 1 << 24, 1 << 17
_SET = {
    "ro": syscalls.MS_RDONLY,
    "nosuid": syscalls.MS_NOSUID,
    "nodev": syscalls.MS_NODEV,
    "noexec": syscalls.MS_NOEXEC,
    "remount": syscalls.MS_REMOUNT,
    "bind": syscalls.MS_BIND,
    "rbind": syscalls.MS_BIND | syscalls.MS_REC,
    "sync": _SYNC,
    "dirsync": _DIRSYNC,
    "mand": _MANDLOCK,
    "noatime": _NOATIME,
    "nodiratime": _NODIRATIME,
    "relatime": _RELATIME,
    "strictatime": _STRICTATIME,
}
_CLEAR = {
    "rw": syscalls.MS_RDONLY,
    "suid": syscalls.MS_NOSUID,
    "dev": syscalls.MS_NODEV,
    "exec": syscalls.MS_NOEXEC,
    "async": _SYNC,
    "nomand": _MANDLOCK,
    "atime": _NOATIME,
    "diratime": _NODIRATIME,
    "norelatime": _RELATIME,
    "nostrictatime": _STRICTATIME,
    "defaults": 0,
}
_PROPAGATION = {
    "private": syscalls.MS_PRIVATE,
    "shared": syscalls.MS_SHARED,
    "slave": syscalls.MS_SLAVE,
    "unbindable": _UNBINDABLE,
}


class MountOptions(NamedTuple):
    """Flags and data of mount(2), and the propagation to set afterwards (0: leave it)."""

    flags: int
    data: str
    propagation: int


def parse(text: str) -> MountOptions:
    """Return what an option string asks for."""
    flags, propagation, data = 0, 0, []
    for option in filter(None, text.split(",")):
        if option in _SET:
            flags |= _SET[option]
        elif option in _CLEAR:
            flags &= ~_CLEAR[option]
        elif option in _PROPAGATION:
            propagation = _PROPAGATION[option]
        elif option.startswith("r") and option[1:] in _PROPAGATION:
            propagation = _PROPAGATION[option[1:]] | syscalls.MS_REC
        else:
            data.append(option)
    return MountOptions(flags, ",".join(data), propagation)


def address(text: str) -> str:
    """Return the value of `addr=`, empty where there is none."""
    found = [o.removeprefix("addr=") for o in text.split(",") if o.startswith("addr=")]
    return found[-1] if found else ""


def with_address(text: str, resolved: str) -> str:
    """Return the option string with another value of `addr=`."""
    return ",".join(f"addr={resolved}" if o.startswith("addr=") else o for o in text.split(","))
