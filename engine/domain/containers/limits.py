"""Resource limits of a container: what this host can enforce, what is refused, what is dropped with a warning. Pure.

Checks, texts and their order are those of dockerd's Linux part; bytes, nanoseconds of CPU, microseconds of periods.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.core.errors import InvalidParameter
from engine.core.model.container import HostConfig

_MINIMUM_MEMORY = 6 << 20
_MAXIMUM_CPU = 8192
_RANGE = re.compile(r"(\d+)(?:-(\d+))?", re.ASCII)


class InvalidLimit(InvalidParameter):
    """A limit that makes no sense, or that this host does not have."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the kernel and its mounted cgroup controllers can do, and what the daemon offers.

    `cpus` and `memory_nodes` are lists as the kernel writes them (`0-3`); `runtimes` are the names that a container may
    ask for. `systemd_cgroups`: the systemd cgroup driver is used, so that parents must be slices.
    """

    cgroup_v2: bool = False
    cpu_count: int = 1
    cpus: str = "0"
    memory_nodes: str = "0"
    memory: bool = True
    swap: bool = True
    memory_reservation: bool = True
    swappiness: bool = True
    oom_kill_disable: bool = True
    kernel_memory_tcp: bool = True
    cpu_shares: bool = True
    cpu_cfs: bool = True
    cpu_realtime: bool = True
    cpuset: bool = True
    pids: bool = True
    blkio_weight: bool = True
    blkio_weight_device: bool = True
    blkio_throttle: bool = True
    cgroup_namespaces: bool = True
    ipv4_forwarding: bool = True
    systemd_cgroups: bool = False
    seccomp: bool = True
    userns_remapped: bool = False
    runtimes: Sequence[str] = ("runc",)


def require_valid_limits(host_config: HostConfig, limits: Limits, *, update: bool = False) -> None:
    """Raise InvalidLimit for the first limit that dockerd would refuse; `host_config` is what `enforceable` left.

    An update names what changes and no more: swap without memory is none of its mistakes.
    """
    _memory(host_config, update=update)
    _cpu(host_config, limits)
    _cpuset(host_config.cpuset_cpus, limits.cpus, "cpus", "Requested CPUs")
    _cpuset(host_config.cpuset_mems, limits.memory_nodes, "mems", "Requested memory nodes")
    if host_config.blkio_weight and not 10 <= host_config.blkio_weight <= 1000:
        raise InvalidLimit("Range of blkio weight is from 10 to 1000")


def require_shares(host_config: HostConfig) -> None:
    """Raise InvalidLimit for CPU shares below zero. dockerd lets an update pass; then the runtime refuses them."""
    if host_config.cpu_shares < 0:
        raise InvalidLimit(f"invalid CPU shares ({host_config.cpu_shares}): value must be a positive integer")


def _memory(host_config: HostConfig, *, update: bool) -> None:
    memory, swap, reservation = host_config.memory, host_config.memory_swap, host_config.memory_reservation
    if memory != 0 and memory < _MINIMUM_MEMORY:
        raise InvalidLimit("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise InvalidLimit("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory == 0 and swap > 0 and not update:
        raise InvalidLimit("You should always set the Memory limit when using Memoryswap limit, see usage")
    swappiness = host_config.memory_swappiness
    if swappiness is not None and swappiness != -1 and not 0 <= swappiness <= 100:
        raise InvalidLimit(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if 0 < reservation < _MINIMUM_MEMORY:
        raise InvalidLimit("Minimum memory reservation allowed is 6MB")
    if 0 < host_config.kernel_memory < _MINIMUM_MEMORY:
        raise InvalidLimit("Minimum kernel memory limit allowed is 6MB")
    if memory > 0 and reservation > memory:
        raise InvalidLimit("Minimum memory limit can not be less than memory reservation limit, see usage")


def _cpu(host_config: HostConfig, limits: Limits) -> None:
    nano, period, quota = host_config.nano_cpus, host_config.cpu_period, host_config.cpu_quota
    if nano > 0 and period > 0:
        raise InvalidLimit("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if nano > 0 and quota > 0:
        raise InvalidLimit("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if nano > 0 and not limits.cpu_cfs:
        raise InvalidLimit(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted"
        )
    if nano < 0 or nano > limits.cpu_count * 1_000_000_000:
        raise InvalidLimit(
            f"range of CPUs is from 0.01 to {limits.cpu_count}.00, as there are only {limits.cpu_count} CPUs available"
        )
    if period != 0 and not 1000 <= period <= 1_000_000:
        raise InvalidLimit("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1000:
        raise InvalidLimit("CPU cfs quota can not be less than 1ms (i.e. 1000)")


def _cpuset(wanted: str, available: str, kind: str, what: str) -> None:
    try:
        numbers = parse_cpu_list(wanted)
    except ValueError as error:
        raise InvalidLimit(f"Invalid value {wanted} for cpuset {kind}: {error}") from error
    if not numbers <= parse_cpu_list(available):
        raise InvalidLimit(f"{what} are not available - requested {wanted}, available: {available}")


def parse_cpu_list(text: str) -> frozenset[int]:
    """Return the numbers of a list such as `0-3,7`. Raises ValueError with dockerd's text."""
    numbers: set[int] = set()
    for part in text.split(",") if text else ():
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"invalid format: {text}")
        first, last = int(match[1]), int(match[2] or match[1])
        if last > _MAXIMUM_CPU:
            raise ValueError(f"value of out range, maximum is {_MAXIMUM_CPU}")
        if last < first:
            raise ValueError(f"invalid format: {text}")
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def require_realtime(host_config: HostConfig, limits: Limits) -> None:
    """Raise InvalidLimit for real-time scheduling that the kernel lacks or that contradicts itself."""
    period, runtime = host_config.cpu_realtime_period, host_config.cpu_realtime_runtime
    for kind, value in (("period", period), ("runtime", runtime)):
        if value > 0 and not limits.cpu_realtime:
            raise InvalidLimit(f"kernel does not support CPU real-time scheduler: cpu real-time {kind} cannot be set")
    if period and runtime > period:
        raise InvalidLimit("cpu real-time runtime cannot be higher than cpu real-time period")


_UNMOUNTED = "or the cgroup is not mounted."
_DROPPED: tuple[tuple[str, str, Any, str], ...] = (
    # field, capability of the host, value that stands for "not set", warning
    (
        "memory_swappiness",
        "swappiness",
        None,
        f"Your kernel does not support memory swappiness capabilities {_UNMOUNTED} Memory swappiness discarded.",
    ),
    (
        "memory_reservation",
        "memory_reservation",
        0,
        f"Your kernel does not support memory soft limit capabilities {_UNMOUNTED} Limitation discarded.",
    ),
    (
        "kernel_memory_tcp",
        "kernel_memory_tcp",
        0,
        f"Your kernel does not support kernel memory TCP limit capabilities {_UNMOUNTED} Limitation discarded.",
    ),
    (
        "oom_kill_disable",
        "oom_kill_disable",
        None,
        "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    ),
    (
        "pids_limit",
        "pids",
        None,
        f"Your kernel does not support PIDs limit capabilities {_UNMOUNTED} PIDs limit discarded.",
    ),
    ("cpu_shares", "cpu_shares", 0, f"Your kernel does not support CPU shares {_UNMOUNTED} Shares discarded."),
    ("cpu_period", "cpu_cfs", 0, "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."),
    ("cpu_quota", "cpu_cfs", 0, "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."),
    ("cpuset_cpus", "cpuset", "", f"Your kernel does not support cpuset {_UNMOUNTED} Cpuset discarded."),
    ("cpuset_mems", "cpuset", "", f"Your kernel does not support cpuset {_UNMOUNTED} Cpuset discarded."),
    (
        "blkio_weight",
        "blkio_weight",
        0,
        f"Your kernel does not support Block I/O weight {_UNMOUNTED} Weight discarded.",
    ),
    (
        "blkio_weight_device",
        "blkio_weight_device",
        [],
        f"Your kernel does not support Block I/O weight_device {_UNMOUNTED} Weight-device discarded.",
    ),
    (
        "blkio_device_read_bps",
        "blkio_throttle",
        [],
        f"Your kernel does not support BPS Block I/O read limit {_UNMOUNTED} Block I/O BPS read limit discarded.",
    ),
    (
        "blkio_device_write_bps",
        "blkio_throttle",
        [],
        f"Your kernel does not support BPS Block I/O write limit {_UNMOUNTED} Block I/O BPS write limit discarded.",
    ),
    (
        "blkio_device_read_iops",
        "blkio_throttle",
        [],
        f"Your kernel does not support IOPS Block read limit {_UNMOUNTED} Block I/O IOPS read limit discarded.",
    ),
    (
        "blkio_device_write_iops",
        "blkio_throttle",
        [],
        f"Your kernel does not support IOPS Block write limit {_UNMOUNTED} Block I/O IOPS write limit discarded.",
    ),
)


def enforceable(host_config: HostConfig, limits: Limits) -> tuple[HostConfig, list[str]]:
    """Return the host configuration without the limits that this host cannot enforce, and a warning for each."""
    changes, warnings = _memory_dropped(host_config, limits)
    for field, capability, unset, warning in _DROPPED:
        value = getattr(host_config, field)
        if value in (unset, None) or getattr(limits, capability) or (field == "memory_swappiness" and value == -1):
            continue
        changes[field] = unset
        if value and warning not in warnings:
            warnings.append(warning)
    if host_config.cpu_percent > 0:
        changes["cpu_percent"] = 0
        warnings.append("linux does not support CPU percent. Percent discarded.")
    if host_config.kernel_memory > 0 and limits.cgroup_v2:
        changes["kernel_memory"] = 0
        warnings.append(
            f"Your kernel does not support kernel memory limit capabilities {_UNMOUNTED} Limitation discarded."
        )
    return msgspec.structs.replace(host_config, **changes), warnings


def _memory_dropped(host_config: HostConfig, limits: Limits) -> tuple[dict[str, Any], list[str]]:
    if host_config.memory >= _MINIMUM_MEMORY and not limits.memory:
        warning = f"Your kernel does not support memory limit capabilities {_UNMOUNTED} Limitation discarded."
        return {"memory": 0, "memory_swap": -1}, [warning]
    if host_config.memory >= _MINIMUM_MEMORY and host_config.memory_swap != -1 and not limits.swap:
        warning = f"Your kernel does not support swap limit capabilities {_UNMOUNTED} Memory limited without swap."
        return {"memory_swap": -1}, [warning]
    return {}, []
