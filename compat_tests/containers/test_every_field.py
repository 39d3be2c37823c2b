"""Every field of `HostConfig` and `Config` that Linux knows: set, seen from inside, shown by inspect, created again."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients.rawhttp import RawHttp, demultiplex

V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
SILENT = "true"


def mount_of(place: str) -> str:
    """A command that shows what is mounted there; some kernels add how wide tmpfs's inode numbers are."""
    return f"grep -o '{place} .*' /proc/mounts | sed 's/,inode[0-9]*//'"


def cgroup(old: str, new: str = "") -> str:
    """A command that shows a file of the container's own control group; `new` is its name on cgroup v2."""
    return f"cat /sys/fs/cgroup/{new}" if V2 else f"cat /sys/fs/cgroup/{old}"


HOST_CONFIG: list[tuple[str, Any, str, str]] = [
    ("LogConfig", {"Type": "json-file", "Config": {"max-size": "1m"}}, SILENT, ""),
    ("NetworkMode", "none", "ls /sys/class/net", "lo"),
    ("PortBindings", {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "48099"}]}, SILENT, ""),
    ("RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 3}, SILENT, ""),
    ("VolumeDriver", "local", SILENT, ""),
    ("Annotations", {"a.b": "c"}, SILENT, ""),
    ("CapAdd", ["CAP_NET_ADMIN"], "grep CapEff /proc/self/status", "CapEff:\t00000000a80435fb"),
    ("CapDrop", ["ALL"], "grep CapBnd /proc/self/status", "CapBnd:\t0000000000000000"),
    ("CapDrop", ["CAP_CHOWN"], "grep CapBnd /proc/self/status", "CapBnd:\t00000000a80425fa"),
    ("CgroupnsMode", "private", "cut -d: -f3 /proc/self/cgroup | sort -u", "/"),
    ("Dns", ["10.1.2.3"], "grep ^nameserver /etc/resolv.conf", "nameserver 10.1.2.3"),
    ("DnsOptions", ["ndots:3"], "grep ^options /etc/resolv.conf", "options ndots:3"),
    ("DnsSearch", ["ex.com"], "grep search /etc/resolv.conf | head -n1", "search ex.com"),
    ("ExtraHosts", ["a.b:1.2.3.4"], "grep a.b /etc/hosts", "1.2.3.4\ta.b"),
    ("GroupAdd", ["12", "34"], "id -G | tr ' ' '\\n' | grep -E '12|34'", "12\n34"),
    ("IpcMode", "none", "grep -c /dev/shm /proc/mounts", "0"),
    (
        "IpcMode",
        "shareable",
        mount_of("/dev/shm"),
        "/dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k 0 0",
    ),
    (
        "IpcMode",
        "private",
        mount_of("/dev/shm"),
        "/dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k 0 0",
    ),
    ("OomScoreAdj", 500, "cat /proc/self/oom_score_adj", "500"),
    ("PidMode", "host", "test $$ -gt 50 && echo far", "far"),
    ("Privileged", True, "grep Seccomp: /proc/self/status; grep -c ' /proc/' /proc/mounts", "Seccomp:\t0\n0"),
    ("PublishAllPorts", True, SILENT, ""),
    ("ReadonlyRootfs", True, "touch /x", "touch: /x: Read-only file system"),
    ("SecurityOpt", ["no-new-privileges"], "grep NoNew /proc/self/status", "NoNewPrivs:\t1"),
    ("SecurityOpt", ["seccomp=unconfined"], "grep Seccomp: /proc/self/status", "Seccomp:\t0"),
    ("SecurityOpt", ["label=disable"], SILENT, ""),
    (
        "Tmpfs",
        {"/t": "size=1m,mode=700"},
        mount_of("/t"),
        "/t tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700 0 0",
    ),
    ("UsernsMode", "host", "cat /proc/self/uid_map | tr -s ' '", " 0 0 4294967295"),
    (
        "ShmSize",
        1 << 20,
        mount_of("/dev/shm"),
        "/dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k 0 0",
    ),
    ("Sysctls", {"net.ipv4.ip_forward": "0"}, "cat /proc/sys/net/ipv4/ip_forward", "0"),
    ("Sysctls", {"kernel.shmmax": "99999"}, "cat /proc/sys/kernel/shmmax", "99999"),
    ("Runtime", "runc", SILENT, ""),
    ("Isolation", "default", SILENT, ""),
    ("CpuShares", 512, cgroup("cpu/cpu.shares", "cpu.weight"), "20" if V2 else "512"),
    ("Memory", 64 << 20, cgroup("memory/memory.limit_in_bytes", "memory.max"), str(64 << 20)),
    ("NanoCpus", 500_000_000, cgroup("cpu/cpu.cfs_quota_us", "cpu.max"), "50000 100000" if V2 else "50000"),
    ("CpuQuota", 20_000, cgroup("cpu/cpu.cfs_quota_us", "cpu.max"), "20000 100000" if V2 else "20000"),
    ("CpuPeriod", 50_000, cgroup("cpu/cpu.cfs_period_us", "cpu.max"), "max 50000" if V2 else "50000"),
    ("CpusetCpus", "0", cgroup("cpuset/cpuset.cpus", "cpuset.cpus"), "0"),
    ("CpusetMems", "0", cgroup("cpuset/cpuset.mems", "cpuset.mems"), "0"),
    ("MemoryReservation", 32 << 20, cgroup("memory/memory.soft_limit_in_bytes", "memory.low"), str(32 << 20)),
    ("PidsLimit", 55, cgroup("pids/pids.max", "pids.max"), "55"),
    (
        "Devices",
        [{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/nought", "CgroupPermissions": "r"}],
        "ls -l /dev/nought | cut -c1",
        "c",
    ),
    ("DeviceCgroupRules", ["c 42:* rwm"], SILENT, ""),
    ("Ulimits", [{"Name": "nofile", "Soft": 100, "Hard": 200}], "ulimit -n; ulimit -Hn", "100\n200"),
    ("MaskedPaths", ["/proc/version"], "cat /proc/version", ""),
    ("ReadonlyPaths", ["/proc/sys/net"], "grep -o '/proc/sys.* proc ro' /proc/mounts", "/proc/sys/net proc ro"),
    ("Init", False, "cat /proc/1/comm; true", "sh"),
]
V1_HOST_CONFIG: list[tuple[str, Any, str, str]] = [
    (
        "CgroupnsMode",
        "host",
        "cut -d: -f3 /proc/self/cgroup | grep -c '/docker/[0-9a-f]\\{64\\}' | sed 's/[1-9][0-9]*/some/'",
        "some",
    ),
    (
        "CgroupParent",
        "/wharf-test",
        "cut -d: -f3 /proc/self/cgroup | grep -c '^/wharf-test/[0-9a-f]\\{64\\}' | sed 's/[1-9][0-9]*/some/'",
        "some",
    ),
    ("MemorySwappiness", 50, "cat /sys/fs/cgroup/memory/memory.swappiness", "50"),
]

CONFIG: list[tuple[str, Any, str, str]] = [
    ("Hostname", "hh", "hostname; cat /etc/hostname", "hh\nhh"),
    ("Domainname", "dd.e", "cat /proc/sys/kernel/domainname", "dd.e"),
    ("User", "12:34", "id -u; id -g", "12\n34"),
    ("Tty", True, "test -t 0 && echo terminal", "terminal"),
    ("OpenStdin", True, SILENT, ""),
    ("StdinOnce", True, SILENT, ""),
    ("Env", ["A=b", "B=", "PATH=/bin"], "env | grep -E '^[AB]=' | sort", "A=b\nB="),
    ("Volumes", {"/vol": {}}, "grep -c ' /vol ' /proc/mounts", "1"),
    ("WorkingDir", "/w/x", "pwd", "/w/x"),
    ("Labels", {"a": "b"}, SILENT, ""),
    ("StopSignal", "SIGUSR1", SILENT, ""),
    ("StopTimeout", 3, SILENT, ""),
    ("Shell", ["/bin/x"], SILENT, ""),
    ("OnBuild", ["x"], SILENT, ""),
    ("ArgsEscaped", True, SILENT, ""),
    ("ExposedPorts", {"99/tcp": {}}, SILENT, ""),
    ("Healthcheck", {"Test": ["CMD", "true"], "Interval": 1_000_000_000}, SILENT, ""),
    ("AttachStdout", True, SILENT, ""),
]


def case_id(value: object) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"[A-Z]\w+", value) else None


def written(api: RawHttp, container: str) -> str:
    """All output of a container, on its streams or its terminal."""
    logs = api.request("GET", f"/containers/{container}/logs?stdout=1&stderr=1").body
    streams = (logs,) if api.get(f"/containers/{container}/json")["Config"]["Tty"] else demultiplex(logs)
    return b"".join(streams).decode()


def seen_from_inside(api: RawHttp, container: str, expected: str) -> dict[str, Any]:
    assert api.post(f"/containers/{container}/start").status == 204
    api.post(f"/containers/{container}/wait")
    assert written(api, container).replace("\r", "").strip("\n") == expected
    found: dict[str, Any] = api.get(f"/containers/{container}/json")
    return found


def created_again(api: RawHttp, found: dict[str, Any]) -> dict[str, Any]:
    """The inspect answer of a container that was made from another one's."""
    networks = {"EndpointsConfig": found["NetworkSettings"]["Networks"]}
    answer = api.post(
        "/containers/create", {**found["Config"], "HostConfig": found["HostConfig"], "NetworkingConfig": networks}
    )
    assert answer.status == 201, answer
    again: dict[str, Any] = api.get(f"/containers/{answer.json()['Id']}/json")
    return again


@pytest.mark.parametrize(
    ("field", "value", "command", "expected"), HOST_CONFIG + ([] if V2 else V1_HOST_CONFIG), ids=case_id
)
def test_host_config(
    api: RawHttp, create: Callable[..., str], field: str, value: Any, command: str, expected: str
) -> None:
    container = create("sh", "-c", command, HostConfig={field: value})
    found = seen_from_inside(api, container, expected)
    assert found["HostConfig"][field] == value
    again = created_again(api, found)
    assert again["HostConfig"] == found["HostConfig"]
    assert again["Config"] == found["Config"]


@pytest.mark.parametrize(("field", "value", "command", "expected"), CONFIG, ids=case_id)
def test_config(api: RawHttp, create: Callable[..., str], field: str, value: Any, command: str, expected: str) -> None:
    found = seen_from_inside(api, create("sh", "-c", command, **{field: value}), expected)
    assert found["Config"][field] == value
    again = created_again(api, found)
    assert again["HostConfig"] == found["HostConfig"]
    assert again["Config"] == found["Config"]
