"""Reads what a cgroup uses, on v1 and v2. Everything here blocks (a dozen small files); call in a thread.

Sources: the kernel's cgroup-v1 documentation and cgroup-v2.rst. Which values, and their names, are those of dockerd
(moby `daemon/stats_unix.go`). A file that is not there counts as zeros: controllers differ from host to host.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.core.model.resources import BlkioEntry, CpuUsage, HostCpu, MemoryUsage, ResourceUsage

_SECOND = 1_000_000_000
_TICK = _SECOND // os.sysconf("SC_CLK_TCK")
_V1_MEMORY = (
    "active_anon",
    "active_file",
    "cache",
    "dirty",
    "inactive_anon",
    "inactive_file",
    "mapped_file",
    "pgfault",
    "pgmajfault",
    "pgpgin",
    "pgpgout",
    "rss",
    "rss_huge",
    "unevictable",
    "writeback",
)
_V1_KEYS = (
    *_V1_MEMORY,
    *(f"total_{name}" for name in _V1_MEMORY),
    "hierarchical_memory_limit",
    "hierarchical_memsw_limit",
)
_V2_KEYS = (
    "active_anon",
    "active_file",
    "anon",
    "anon_thp",
    "file",
    "file_dirty",
    "file_mapped",
    "file_writeback",
    "inactive_anon",
    "inactive_file",
    "kernel_stack",
    "pgactivate",
    "pgdeactivate",
    "pgfault",
    "pglazyfree",
    "pglazyfreed",
    "pgmajfault",
    "pgrefill",
    "pgscan",
    "pgsteal",
    "shmem",
    "slab",
    "slab_reclaimable",
    "slab_unreclaimable",
    "sock",
    "thp_collapse_alloc",
    "thp_fault_alloc",
    "unevictable",
    "workingset_activate",
    "workingset_nodereclaim",
    "workingset_refault",
)
# Docker's names, and the files of CFQ or BFQ that they come from.
_V1_BLKIO = {
    "io_service_bytes_recursive": "io_service_bytes_recursive",
    "io_serviced_recursive": "io_serviced_recursive",
    "io_queue_recursive": "io_queued_recursive",
    "io_service_time_recursive": "io_service_time_recursive",
    "io_wait_time_recursive": "io_wait_time_recursive",
    "io_merged_recursive": "io_merged_recursive",
    "io_time_recursive": "time_recursive",
    "sectors_recursive": "sectors_recursive",
}
_THROTTLED = ("io_service_bytes_recursive", "io_serviced_recursive")
_UNLIMITED = 1 << 62  # v1 says "no limit" with a number near 2^63.

Directory = Callable[[str], Path]


def read_v1(directory: Directory) -> ResourceUsage:
    """Read the cgroups of a container; `directory` gives the one of a controller. Blocks."""
    memory = directory("memory")
    limit = _number(memory / "memory.limit_in_bytes")
    stats = _table(memory / "memory.stat")
    return ResourceUsage(
        cpu=_v1_cpu(directory("cpuacct"), directory("cpu")),
        memory=MemoryUsage(
            usage=_number(memory / "memory.usage_in_bytes"),
            peak=_number(memory / "memory.max_usage_in_bytes"),
            failures=_number(memory / "memory.failcnt"),
            limit=limit if 0 < limit < _UNLIMITED else None,
            stats={key: stats.get(key, 0) for key in _V1_KEYS},
        ),
        pids=_number(directory("pids") / "pids.current"),
        pids_limit=_limit(directory("pids") / "pids.max"),
        blkio=_v1_blkio(directory("blkio")),
    )


def _v1_cpu(accounting: Path, scheduler: Path) -> CpuUsage:
    split, throttling = _table(accounting / "cpuacct.stat"), _table(scheduler / "cpu.stat")
    return CpuUsage(
        total=_number(accounting / "cpuacct.usage"),
        kernel=split.get("system", 0) * _TICK,
        user=split.get("user", 0) * _TICK,
        per_cpu=[int(value) for value in _text(accounting / "cpuacct.usage_percpu").split()],
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled_time=throttling.get("throttled_time", 0),
    )


def _v1_blkio(directory: Path) -> Mapping[str, Sequence[BlkioEntry]]:
    """Without an I/O scheduler that counts, only throttling has counters (as containerd reads them)."""
    if _text(directory / "blkio.io_serviced_recursive").count("\n") > 1:
        return {name: _entries(_text(directory / f"blkio.{file}")) for name, file in _V1_BLKIO.items()}
    found: dict[str, Sequence[BlkioEntry]] = {name: [] for name in _V1_BLKIO}
    for name in _THROTTLED:
        found[name] = _entries(_text(directory / f"blkio.throttle.{name}"))
    return found


def _entries(text: str) -> list[BlkioEntry]:
    """Read lines like `8:0 Read 4096`, and `8:0 4096`; the sum at the end is left out."""
    found = []
    for words in map(str.split, text.splitlines()):
        device, *op, value = words if len(words) > 1 else ("", "0")
        major, colon, minor = device.partition(":")
        if colon:
            found.append(BlkioEntry(major=int(major), minor=int(minor), op="".join(op), value=int(value)))
    return found


def read_v2(directory: Path) -> ResourceUsage:
    """Read the cgroup of a container. Blocks."""
    cpu, memory = _table(directory / "cpu.stat"), _table(directory / "memory.stat")
    return ResourceUsage(
        cpu=CpuUsage(
            total=cpu.get("usage_usec", 0) * 1000,
            kernel=cpu.get("system_usec", 0) * 1000,
            user=cpu.get("user_usec", 0) * 1000,
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_time=cpu.get("throttled_usec", 0) * 1000,
        ),
        memory=MemoryUsage(
            usage=_number(directory / "memory.current"),
            failures=_table(directory / "memory.events").get("oom", 0),
            limit=_limit(directory / "memory.max"),
            stats={key: memory.get(key, 0) for key in _V2_KEYS},
        ),
        pids=_number(directory / "pids.current"),
        pids_limit=_limit(directory / "pids.max"),
        blkio=dict.fromkeys(_V1_BLKIO)
        | {"io_service_bytes_recursive": _v2_bytes(_text(directory / "io.stat")) or None},
        v2=True,
    )


def _v2_bytes(text: str) -> list[BlkioEntry]:
    found = []
    for device, *pairs in filter(None, map(str.split, text.splitlines())):
        major, _, minor = device.partition(":")
        values = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        for op, key in (("read", "rbytes"), ("write", "wbytes")):
            if key in values:
                found.append(BlkioEntry(major=int(major), minor=int(minor), op=op, value=int(values[key])))
    return found


def host_cpu(stat: Path = Path("/proc/stat")) -> HostCpu:
    """Read what the whole host has used: all but guests' time, which is in the others already (proc(5)). Blocks."""
    lines = [line.split() for line in _text(stat).splitlines() if line.startswith("cpu")]
    if not lines:
        return HostCpu()
    return HostCpu(total=sum(map(int, lines[0][1:8])) * _TICK, online=len(lines) - 1)


def _text(path: Path) -> str:
    try:
        with open(path) as file:  # noqa: PTH123 (Path.open costs as much as the reading)
            return file.read()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _text(path).strip()
    return int(text) if text.isdigit() else 0


def _limit(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _table(path: Path) -> dict[str, int]:
    """Read lines of a name and a number."""
    pairs = (line.partition(" ") for line in _text(path).splitlines())
    return {name: int(value) for name, _, value in pairs if value.isdigit()}
