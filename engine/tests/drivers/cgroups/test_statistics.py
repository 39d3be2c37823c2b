"""Statistics of v1 and v2 cgroups, read from trees that look like the kernel's."""

from pathlib import Path

from engine.core.model.resources import BlkioEntry
from engine.drivers.cgroups import statistics


def _write(directory: Path, **files: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)
    return directory


def test_v2(tmp_path: Path) -> None:
    _write(
        tmp_path,
        cpu__stat="usage_usec 7\nuser_usec 4\nsystem_usec 3\nnr_periods 2\nnr_throttled 1\nthrottled_usec 9\n",
        memory__current="4096\n",
        memory__max="max\n",
        memory__stat="anon 100\nfile 200\nunknown 3\n",
        memory__events="low 0\noom 2\noom_kill 1\n",
        pids__current="3\n",
        pids__max="max\n",
        io__stat="8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n",
    )
    usage = statistics.read_v2(tmp_path)
    assert (usage.cpu.total, usage.cpu.user, usage.cpu.kernel, usage.cpu.throttled_time) == (7000, 4000, 3000, 9000)
    assert (usage.memory.usage, usage.memory.limit, usage.memory.failures) == (4096, None, 2)
    assert usage.memory.stats["anon"] == 100
    assert "unknown" not in usage.memory.stats
    assert (usage.pids, usage.pids_limit) == (3, None)
    assert usage.blkio["io_service_bytes_recursive"] == [
        BlkioEntry(major=8, minor=0, op="read", value=10),
        BlkioEntry(major=8, minor=0, op="write", value=20),
    ]
    assert usage.blkio["io_serviced_recursive"] is None


def test_v1(tmp_path: Path) -> None:
    _write(
        tmp_path / "memory",
        memory__usage_in_bytes="4096\n",
        memory__max_usage_in_bytes="8192\n",
        memory__limit_in_bytes="9223372036854771712\n",
        memory__stat="cache 5\ntotal_cache 6\n",
    )
    _write(
        tmp_path / "cpuacct", cpuacct__usage="7\n", cpuacct__usage_percpu="3 4 \n", cpuacct__stat="user 1\nsystem 2\n"
    )
    _write(tmp_path / "pids", pids__current="3\n", pids__max="100\n")
    _write(tmp_path / "blkio", blkio__throttle__io_serviced_recursive="8:0 Read 4\nTotal 4\n")
    usage = statistics.read_v1(lambda controller: tmp_path / controller)
    assert (usage.cpu.total, list(usage.cpu.per_cpu), usage.cpu.kernel) == (7, [3, 4], 20_000_000)
    assert (usage.memory.peak, usage.memory.limit, usage.memory.stats["total_cache"]) == (8192, None, 6)
    assert (usage.pids, usage.pids_limit) == (3, 100)
    assert usage.blkio["io_serviced_recursive"] == [BlkioEntry(major=8, minor=0, op="Read", value=4)]


def test_what_is_not_there_counts_as_nothing(tmp_path: Path) -> None:
    assert statistics.read_v2(tmp_path).memory.usage == 0
    assert statistics.read_v1(lambda controller: tmp_path / controller).pids == 0


def test_host_cpu(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(
        "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 5\n"
    )
    host = statistics.host_cpu(tmp_path / "stat")
    assert (host.total, host.online) == (280_000_000, 2)
