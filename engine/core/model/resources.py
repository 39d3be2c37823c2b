"""What a container uses at an instant; sources are the cgroup files named in `engine/drivers/cgroups`."""

from collections.abc import Mapping, Sequence

from msgspec import Struct


class InterfaceCounters(Struct, frozen=True, kw_only=True):
    """Traffic of one interface since it was made, in bytes and packets."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class CpuUsage(Struct, frozen=True, kw_only=True):
    """CPU time in nanoseconds since the cgroup was made; `per_cpu` is known on v1 only."""

    total: int = 0
    kernel: int = 0
    user: int = 0
    per_cpu: Sequence[int] = ()
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class MemoryUsage(Struct, frozen=True, kw_only=True):
    """Bytes; `peak` is known on v1 only; `limit` is None where there is none; `stats` is the kernel's own breakdown."""

    usage: int = 0
    peak: int = 0
    failures: int = 0
    limit: int | None = None
    stats: Mapping[str, int] = {}


class BlkioEntry(Struct, frozen=True, kw_only=True):
    """A counter of one device and kind of operation."""

    major: int
    minor: int
    op: str
    value: int


class ResourceUsage(Struct, frozen=True, kw_only=True):
    """All of one container. `blkio` maps Docker's names to entries; None: the kernel does not count that.

    `pids_limit` is None where there is none.
    """

    cpu: CpuUsage = CpuUsage()
    memory: MemoryUsage = MemoryUsage()
    pids: int = 0
    pids_limit: int | None = None
    blkio: Mapping[str, Sequence[BlkioEntry] | None] = {}
    v2: bool = False


class HostCpu(Struct, frozen=True, kw_only=True):
    """CPU time of the whole host, in nanoseconds, and how many CPUs are online."""

    total: int = 0
    online: int = 0
