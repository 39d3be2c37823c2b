"""Volumes as directories: `<root>/<name>/_data`, and the file systems that options of the local driver mount there.

A volume comes and goes by a rename, so that a killed daemon leaves either the whole or a name that says what was going
on: `.new-NAME` has never been in use, `.removed-NAME` is to be erased. No valid volume name begins with a dot.
"""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.drivers.linux import syscalls
from engine.drivers.linux.removal import remove_tree
from engine.drivers.volumes import mount_options

DATA = "_data"
_NEW, _REMOVED = ".new-", ".removed-"
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_NETWORK_TYPES = ("nfs", "nfs4", "cifs")


class MountFailed(OSError):
    """mount(2) failed; the text is that of Moby's mount package."""

    def __init__(self, what: str, error: OSError) -> None:
        super().__init__(error.errno, f"failed to mount local volume: mount {what}: {_reason(error)}")

    def __str__(self) -> str:
        return str(self.strerror)


class AddressUnresolved(OSError):
    """The server of a network volume has no address."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"error resolving passed in network volume address: lookup {host}: {reason}")


class StillMounted(OSError):
    """Something is mounted in a volume that is to be erased."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is a mount point; unmount it first")


@dataclass(frozen=True, slots=True)
class Survey:
    """The names found on disk: volumes, those half made, those half removed."""

    present: frozenset[str]
    new: frozenset[str]
    removed: frozenset[str]


class LocalVolumes:
    """The directories below one root. All methods but `path` block; call them in a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, name: str) -> Path:
        """Return where a volume's data is."""
        return self._root / name / DATA

    def survey(self) -> Survey:
        """Return what there is, making the root where it is missing."""
        _make_directory(self._root, 0o711)
        names = [e.name for e in os.scandir(self._root) if e.is_dir(follow_symlinks=False)]
        return Survey(
            frozenset(n for n in names if (self._root / n / DATA).is_dir() and not n.startswith(".")),
            frozenset(n.removeprefix(_NEW) for n in names if n.startswith(_NEW)),
            frozenset(n.removeprefix(_REMOVED) for n in names if n.startswith(_REMOVED)),
        )

    def made_at(self, name: str) -> int:
        """Return when a volume's directory was last renamed or made, in nanoseconds since the epoch."""
        return (self._root / name).stat().st_mtime_ns

    def stage(self, name: str) -> None:
        """Make an empty volume under a name that does not count yet."""
        staged = self._root / f"{_NEW}{name}"
        _make_directory(staged, 0o711)
        _make_directory(staged / DATA, 0o755)

    def settle(self, name: str) -> None:
        """Give a staged volume its name."""
        (self._root / f"{_NEW}{name}").rename(self._root / name)

    def abandon(self, name: str) -> None:
        """Remove a staged volume."""
        remove_tree(self._root / f"{_NEW}{name}")

    def discard(self, name: str) -> None:
        """Take a volume's name away; nothing happens where there is no such directory. Raises StillMounted."""
        inside = mounts_below(self._root / name)
        if inside:
            raise StillMounted(inside[0])
        self.erase(name)
        try:
            (self._root / name).rename(self._root / f"{_REMOVED}{name}")
        except FileNotFoundError:
            return

    def erase(self, name: str) -> None:
        """Remove what `discard` has left, if anything."""
        remove_tree(self._root / f"{_REMOVED}{name}")

    def is_mounted(self, name: str) -> bool:
        """Tell whether something is mounted as the volume's data."""
        return str(self.path(name)) in mounts_below(self._root / name)

    def mount(self, name: str, options: Mapping[str, str]) -> None:
        """Mount what the options ask for, unless it is there already. Raises MountFailed, AddressUnresolved."""
        if self.is_mounted(name):
            return
        kind, device, text = options.get("type", ""), options.get("device", ""), options.get("o", "")
        if kind in _NETWORK_TYPES:
            text = _resolved(text)
        _mount(device, self.path(name), kind, mount_options.parse(text))

    def unmount(self, name: str) -> None:
        """Unmount a volume's data, at once or, while it is busy, as soon as it no longer is."""
        if self.is_mounted(name):
            syscalls.umount(self.path(name), syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)


def _make_directory(path: Path, mode: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)


def _mount(device: str, target: Path, kind: str, options: mount_options.MountOptions) -> None:
    try:
        syscalls.mount(device, target, kind, options.flags, options.data)
        if options.flags & syscalls.MS_BIND and options.flags & syscalls.MS_RDONLY:
            syscalls.mount("", target, "", options.flags | syscalls.MS_REMOUNT)
        if options.propagation:
            syscalls.mount("", target, "", options.propagation)
    except OSError as error:
        raise MountFailed(_describe(device, target, options), error) from error


def _describe(device: str, target: Path, options: mount_options.MountOptions) -> str:
    flags = f", flags: 0x{options.flags:x}" if options.flags else ""
    data = f", data: {options.data}" if options.data else ""
    return f"{device}:{target}{flags}{data}"


def _resolved(text: str) -> str:
    """Return the options with the address of the server instead of its name: the kernel knows no names."""
    host = mount_options.address(text)
    if not host:
        return text
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise AddressUnresolved(host, str(error.strerror)) from error
    return mount_options.with_address(text, str(found[0][4][0]))


def _reason(error: OSError) -> str:
    """Return the kernel's reason as Go spells it."""
    return os.strerror(error.errno).lower() if error.errno else str(error)


def mounts_below(path: Path) -> list[str]:
    """Return the mount points at or below a path in our mount namespace. Blocks (procfs)."""
    prefix = str(path)
    found = []
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        target = os.fsdecode(_ESCAPE.sub(lambda m: bytes([int(m[1], 8)]), line.split(b" ")[4]))
        if target == prefix or target.startswith(f"{prefix}/"):
            found.append(target)
    return found
