"""The answer of `GET /containers/{id}/stats`. Zero values that Docker leaves out are left out."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.core import times
from engine.core.model.resources import BlkioEntry, MemoryUsage, ResourceUsage
from engine.domain.containers.stats import Sample, Stats

_BLKIO = (
    "io_service_bytes_recursive",
    "io_serviced_recursive",
    "io_queue_recursive",
    "io_service_time_recursive",
    "io_wait_time_recursive",
    "io_merged_recursive",
    "io_time_recursive",
    "sectors_recursive",
)
_NO_LIMIT = 2**64 - 1


def encode_stats(stats: Stats, host_memory: int) -> dict[str, Any]:
    """Return the JSON object; `host_memory` in bytes stands for no limit."""
    usage = stats.now.usage
    encoded: dict[str, Any] = {
        "name": f"/{stats.container.name}",
        "id": stats.container.id,
        "read": times.rfc3339(stats.now.read),
        "preread": times.rfc3339(stats.before.read),
        "pids_stats": _pids(usage) if usage else {},
        "blkio_stats": _blkio(usage),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(stats.now),
        "precpu_stats": _cpu(stats.before),
        "memory_stats": _memory(usage.memory, host_memory) if usage else {},
    }
    if stats.now.networks:
        encoded["networks"] = {name: msgspec.structs.asdict(c) for name, c in stats.now.networks.items()}
    return encoded


def _pids(usage: ResourceUsage) -> dict[str, int]:
    limit = usage.pids_limit
    if limit is None:
        limit = _NO_LIMIT if usage.v2 else 0
    return _present({"current": usage.pids, "limit": limit})


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _blkio(usage: ResourceUsage | None) -> dict[str, Any]:
    counters = usage.blkio if usage else {}
    return {name: _entries(counters.get(name)) for name in _BLKIO}


def _entries(entries: Sequence[BlkioEntry] | None) -> list[dict[str, Any]] | None:
    return None if entries is None else [msgspec.structs.asdict(entry) for entry in entries]


def _cpu(sample: Sample) -> dict[str, Any]:
    cpu = (sample.usage or ResourceUsage()).cpu
    return {
        "cpu_usage": {
            "total_usage": cpu.total,
            **_present({"percpu_usage": list(cpu.per_cpu)}),
            "usage_in_kernelmode": cpu.kernel,
            "usage_in_usermode": cpu.user,
        },
        **_present({"system_cpu_usage": sample.host.total, "online_cpus": sample.host.online}),
        "throttling_data": {
            "periods": cpu.periods,
            "throttled_periods": cpu.throttled_periods,
            "throttled_time": cpu.throttled_time,
        },
    }


def _memory(memory: MemoryUsage, host_memory: int) -> dict[str, Any]:
    limit = host_memory if memory.limit is None else min(memory.limit, host_memory)
    first = _present({"usage": memory.usage, "max_usage": memory.peak})
    return {**first, "stats": dict(memory.stats), **_present({"failcnt": memory.failures, "limit": limit})}
