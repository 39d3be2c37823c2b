"""Which limits this kernel can set, read off the control files that it offers. Blocks (a few stats); used at start-up.

Sources: the kernel's cgroup-v1 documentation and cgroup-v2.rst; the fields are those of the Engine API's `/info`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_V1_FILES = {
    "memory": "memory/memory.limit_in_bytes",
    "swap": "memory/memory.memsw.limit_in_bytes",
    "memory_reservation": "memory/memory.soft_limit_in_bytes",
    "swappiness": "memory/memory.swappiness",
    "oom_kill_disable": "memory/memory.oom_control",
    "kernel_memory_tcp": "memory/memory.kmem.tcp.limit_in_bytes",
    "cpu_shares": "cpu/cpu.shares",
    "cpu_cfs": "cpu/cpu.cfs_quota_us",
    "cpu_realtime": "cpu/cpu.rt_runtime_us",
    "cpuset": "cpuset/cpuset.cpus",
    "pids": "pids/cgroup.procs",
    "blkio_weight": "blkio/blkio.weight",
    "blkio_weight_device": "blkio/blkio.weight_device",
    "blkio_throttle": "blkio/blkio.throttle.read_bps_device",
}
_V2_CONTROLLERS = {
    "memory": "memory",
    "swap": "memory",
    "memory_reservation": "memory",
    "cpu_shares": "cpu",
    "cpu_cfs": "cpu",
    "cpuset": "cpuset",
    "pids": "pids",
    "blkio_weight": "io",
    "blkio_weight_device": "io",
    "blkio_throttle": "io",
}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What can be limited here; `cpus` and `memory_nodes` are lists as the kernel writes them (`0-3`)."""

    memory: bool = False
    swap: bool = False
    memory_reservation: bool = False
    swappiness: bool = False
    oom_kill_disable: bool = False
    kernel_memory_tcp: bool = False
    cpu_shares: bool = False
    cpu_cfs: bool = False
    cpu_realtime: bool = False
    cpuset: bool = False
    pids: bool = False
    blkio_weight: bool = False
    blkio_weight_device: bool = False
    blkio_throttle: bool = False
    cpus: str = "0"
    memory_nodes: str = "0"
    cgroup_namespaces: bool = True


def detect(root: Path, *, v2: bool) -> Abilities:
    """Look at the hierarchies below `root` (usually /sys/fs/cgroup). Blocks."""
    return Abilities(
        **(_v2(root) if v2 else {name: (root / file).exists() for name, file in _V1_FILES.items()}),
        cpus=_read(root / ("cpuset.cpus.effective" if v2 else "cpuset/cpuset.cpus")) or _online("cpu"),
        memory_nodes=_read(root / ("cpuset.mems.effective" if v2 else "cpuset/cpuset.mems")) or _online("node"),
        cgroup_namespaces=Path("/proc/self/ns/cgroup").exists(),
    )


def _v2(root: Path) -> Mapping[str, bool]:
    controllers = _read(root / "cgroup.controllers").split()
    found = {name: controller in controllers for name, controller in _V2_CONTROLLERS.items()}
    return found | {"swap": found["swap"] and _accounts_swap()}


def _accounts_swap() -> bool:
    """A kernel without swap accounting (`swapaccount=0`) has no memory.swap.max; the root cgroup never has one."""
    own = _read(Path("/proc/self/cgroup")).rpartition("::")[2].strip().lstrip("/")
    directory = Path("/sys/fs/cgroup") / own
    return own == "" or (directory / "memory.swap.max").exists() or not (directory / "memory.max").exists()


def _online(kind: str) -> str:
    return _read(Path(f"/sys/devices/system/{kind}/online")) or "0"


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
