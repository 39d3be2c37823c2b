"""The control groups of containers, on v1, hybrid and v2 hosts: where they are, who is in them, freezing, memory kills.

Making and removing them is the OCI runtime's work. A living container's cgroups are found by its first process, so they
are right whichever runtime made them; those of one that has ended by their names.
"""

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.core.model.resources import HostCpu, ResourceUsage
from engine.drivers.cgroups import freezer, paths, statistics
from engine.drivers.cgroups.migration import Forewarning
from engine.drivers.cgroups.oom_watch import OomWatch
from engine.drivers.cgroups.paths import Driver
from engine.drivers.cgroups.shelter import MonitorScope

_ROOT = Path("/sys/fs/cgroup")
# What stands for "no limit", and where (kernel: cgroup-v1/pids.rst, sched-bwc.rst; cgroup-v2.rst).
_UNLIMITED_V1 = {"pids": ("pids.max", "max"), "cpu": ("cpu.cfs_quota_us", "-1")}
_UNLIMITED_V2 = {"pids": ("pids.max", "max"), "cpu": ("cpu.max", "max")}
# A v1 hierarchy that every container is in, by preference.
_MEMBERSHIP = ("pids", "memory", "freezer", "devices", "cpu", "systemd")


@dataclass(frozen=True, slots=True)
class Settings:
    """`--cgroup-parent` and the cgroup driver of `--exec-opt native.cgroupdriver`; empty: as dockerd chooses."""

    driver: str = ""
    parent: str = ""
    root: Path = _ROOT


class Cgroups:
    """The host's hierarchies and the containers in them."""

    def __init__(self, settings: Settings = Settings()) -> None:
        """Look at the host. Reads a few files below /sys and /run. Raises ValueError for an unknown driver."""
        self._root = settings.root
        self.v2 = (self._root / "cgroup.controllers").exists()
        self.driver = Driver(settings.driver) if settings.driver else _usual_driver(v2=self.v2)
        self.parent = settings.parent or paths.default_parent(self.driver)
        own = paths.parse_proc_cgroup(Path("/proc/self/cgroup").read_text())
        self._forewarning = Forewarning(self._own_members(own))
        self._monitors = MonitorScope(self._root, own, v2=self.v2)

    def _own_members(self, own: dict[str, str]) -> Path | None:
        for controller in ("",) if self.v2 else _MEMBERSHIP:
            members = self._root / controller / own.get(controller, "").lstrip("/") / "cgroup.procs"
            if controller in own and members.exists():
                return members
        return None

    def forewarn(self) -> None:
        """Tell the kernel that a process will be put into a cgroup in a moment. Returns at once."""
        self._forewarning.give()

    def shelter(self, monitor_pid: int) -> None:
        """Let a monitor outlive whatever ends the daemon's own cgroup. Returns at once."""
        self._monitors.admit(monitor_pid)

    async def close(self) -> None:
        """Finish what runs in the background."""
        await self._monitors.close()
        await asyncio.to_thread(self._forewarning.close)

    def runtime_path(self, container_id: str, parent: str = "") -> str:
        """Return what the OCI configuration names as a container's cgroup."""
        return paths.runtime_path(self.driver, parent or self.parent, container_id)

    async def pids(self, container_id: str, pid: int) -> list[int]:
        """Return the host pids of all processes of a container, whose first process is `pid`; none where it is gone."""
        return await asyncio.to_thread(self._pids, container_id, pid)

    def _pids(self, container_id: str, pid: int) -> list[int]:
        for controller in ("",) if self.v2 else _MEMBERSHIP:
            if cgroup := self._living(container_id, pid, controller):
                return sorted(_members(cgroup))
        return []

    def _living(self, container_id: str, pid: int, controller: str) -> Path | None:
        """Return the cgroup of a living container in the hierarchy of a controller (v2: empty)."""
        try:
            own = paths.parse_proc_cgroup(Path(f"/proc/{pid}/cgroup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            return None
        if container_id not in own.get(controller, ""):
            return None  # The kernel moves what has ended to the root, which is not ours to freeze.
        return self._root / controller / paths.own_part(own[controller], container_id)

    def usage(self, container_id: str, pid: int) -> ResourceUsage | None:
        """Return what a container with first process `pid` uses; None where it is gone. Blocks; call in a thread."""
        try:
            own = paths.parse_proc_cgroup(Path(f"/proc/{pid}/cgroup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            return None
        if self.v2:
            return statistics.read_v2(self._root / paths.own_part(own.get("", ""), container_id))
        return statistics.read_v1(lambda name: self._root / name / paths.own_part(own.get(name, ""), container_id))

    def host_cpu(self) -> HostCpu:
        """Return the CPU time of the whole host. Blocks; call in a thread."""
        return statistics.host_cpu()

    def _ended(self, container_id: str, parent: str, controller: str) -> Path:
        relative = paths.relative_path(self.driver, parent or self.parent, container_id)
        return self._root / ("" if self.v2 else controller) / relative

    def oom_killed(self, container_id: str, parent: str = "") -> bool:
        """Tell whether the kernel killed a process of a container for want of memory; before its cgroup is removed.

        Reads two small files.
        """
        cgroup = self._ended(container_id, parent, "memory")
        counters = cgroup / ("memory.events" if self.v2 else "memory.oom_control")
        try:
            lines = counters.read_text().splitlines()
        except OSError:
            return False
        return any(name == "oom_kill" and count != "0" for name, _, count in (line.partition(" ") for line in lines))

    def watch_oom(self, container_id: str, parent: str, told: Callable[[], None]) -> OomWatch:
        """Call back whenever the kernel may have killed a process of a running container so. Raises OSError."""
        return OomWatch(self._ended(container_id, parent, "memory"), told, v2=self.v2)

    async def lift(self, container_id: str, pid: int, controllers: Sequence[str]) -> None:
        """Take away a running container's limits of processes (`pids`) or of CPU time (`cpu`). Raises OSError."""
        if controllers:
            await asyncio.to_thread(self._lift, container_id, pid, controllers)

    def _lift(self, container_id: str, pid: int, controllers: Sequence[str]) -> None:
        for controller in controllers:
            file, unlimited = (_UNLIMITED_V2 if self.v2 else _UNLIMITED_V1)[controller]
            if cgroup := self._living(container_id, pid, "" if self.v2 else controller):
                (cgroup / file).write_text(unlimited)

    async def remove(self, container_id: str, parent: str = "") -> None:
        """Remove the cgroup that a container left where its runtime did not; one in which something runs stays."""
        await asyncio.to_thread(self._remove, container_id, parent)

    def _remove(self, container_id: str, parent: str) -> None:
        relative = paths.relative_path(self.driver, parent or self.parent, container_id)
        for hierarchy in (self._root,) if self.v2 else self._root.iterdir():
            with contextlib.suppress(OSError):
                (hierarchy / relative).rmdir()

    async def freeze(self, container_id: str, pid: int) -> None:
        """Stop all processes of a container from being scheduled. Raises ProcessLookupError, OSError."""
        await asyncio.to_thread(self._freeze, container_id, pid, frozen=True)

    async def thaw(self, container_id: str, pid: int) -> None:
        """Let them go on. Raises ProcessLookupError, OSError."""
        await asyncio.to_thread(self._freeze, container_id, pid, frozen=False)

    def _freeze(self, container_id: str, pid: int, *, frozen: bool) -> None:
        cgroup = self._living(container_id, pid, "" if self.v2 else "freezer")
        if cgroup is None:
            raise ProcessLookupError(f"no such process: {pid}")
        change = freezer.set_v2 if self.v2 else freezer.set_v1
        try:
            change(cgroup, frozen=frozen)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise
            raise ProcessLookupError(f"no such process: {pid}") from error


def _members(cgroup: Path) -> Iterator[int]:
    """The processes of a cgroup and of those below it."""
    for directory in (cgroup, *(path for path in cgroup.rglob("*") if path.is_dir())):
        try:
            yield from map(int, (directory / "cgroup.procs").read_text().split())
        except OSError:
            # Removed meanwhile, or a threaded cgroup (cgroups(7)), whose processes are listed above it.
            continue


def _usual_driver(*, v2: bool) -> Driver:
    """systemd where it runs a v2 host, as dockerd has it (moby `daemon/config`, `cgroup.UnifiedMountpoint`)."""
    return Driver.SYSTEMD if v2 and Path("/run/systemd/system").is_dir() else Driver.CGROUPFS
