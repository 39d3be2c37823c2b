"""Mounting an overlay, and letting it go. Everything here blocks; call in a thread."""

import contextlib
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.drivers.linux import syscalls

# `redirect_dir` and `metacopy` would let the upper directory hold references instead of content: it could no longer be
# read on its own. `index` would refuse to mount where the last mount of the same directory has not quite gone.
_OPTIONS = {"index": "off", "redirect_dir": "off", "metacopy": "off"}


class OverlayFailed(OSError):
    """The kernel refused the mount; says why, as far as the kernel tells."""


@dataclass(frozen=True, slots=True)
class OverlayMount:
    """What lies above what: `lowers` with the uppermost first, at least two where there is no `upper`.

    `volatile`: nothing is written to the disk for its own sake, and `work` cannot serve another mount (Linux 5.10).
    `owner`: user and group as whom the kernel is to write, for layers on id-mapped mounts.
    """

    lowers: Sequence[Path]
    merged: Path
    upper: Path | None = None
    work: Path | None = None
    volatile: bool = False
    owner: tuple[int, int] | None = None

    def options(self) -> dict[str, str | Path]:
        """Return the options that have a value, but for the lower directories."""
        if self.upper is None or self.work is None:
            return {}
        return {"upperdir": self.upper, "workdir": self.work, **_OPTIONS}


def mount_overlay(wanted: OverlayMount) -> None:
    """Mount with the API that takes one layer at a time (Linux 6.5), else with mount(2). Raises OSError."""
    with contextlib.nullcontext() if wanted.owner is None else syscalls.acting_as(*wanted.owner):
        _mount_overlay(wanted)


def _mount_overlay(wanted: OverlayMount) -> None:
    fs = syscalls.fsopen("overlay")
    try:
        _configure(fs, wanted)
        mount = syscalls.fsmount(fs)
    except OSError as error:
        if error.errno == errno.EINVAL and not _takes_single_layers(fs):
            _mount_by_data(wanted)
            return
        raise OverlayFailed(error.errno, _reason(fs) or error.strerror, str(wanted.merged)) from error
    finally:
        os.close(fs)
    try:
        syscalls.move_mount(mount, wanted.merged)
    finally:
        os.close(mount)


def _configure(fs: int, wanted: OverlayMount) -> None:
    for lower in wanted.lowers:
        syscalls.fsconfig_string(fs, "lowerdir+", lower)
    for name, value in wanted.options().items():
        syscalls.fsconfig_string(fs, name, value)
    if wanted.volatile:
        syscalls.fsconfig_flag(fs, "volatile")
    syscalls.fsconfig_create(fs)


def _takes_single_layers(fs: int) -> bool:
    """Tell from the version: the error is the same as for a wrong option."""
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int("".join(c for c in minor if c.isdigit()))) >= (6, 5)


def _reason(fs: int) -> str:
    """Return the messages that the kernel left for this mount, each `e` and its text."""
    messages = []
    with contextlib.suppress(OSError):
        while message := os.read(fs, 4096):
            messages.append(message.decode(errors="replace").strip())
    return "; ".join(messages)


def _mount_by_data(wanted: OverlayMount) -> None:
    """mount(2) takes one page of options: descriptors stand for the layers' long names."""
    with contextlib.ExitStack() as stack:
        pinned = [os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for lower in wanted.lowers]
        for fd in pinned:
            stack.callback(os.close, fd)
        options = {"lowerdir": ":".join(f"/proc/self/fd/{fd}" for fd in pinned), **wanted.options()}
        data = ",".join(f"{name}={value}" for name, value in options.items())
        data += ",volatile" if wanted.volatile else ""
        syscalls.mount("overlay", wanted.merged, "overlay", data=data)


def detach(merged: Path) -> int | None:
    """Unmount, and return a descriptor that keeps the filesystem until it is closed; None where nothing is mounted.

    Raises OSError.
    """
    try:
        pinned = os.open(merged, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        syscalls.umount(merged, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
    except OSError as error:
        os.close(pinned)
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise
    return pinned
