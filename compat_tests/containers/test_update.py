"""update: limits at once, restart policies, refusals."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import Answer, RawHttp


def update(api: RawHttp, container: str, **body: Any) -> Answer:
    return api.post(f"/containers/{container}/update", body)


def host_config(api: RawHttp, container: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/containers/{container}/json")["HostConfig"]
    return found


def test_a_running_container_feels_it(cli: DockerCli, api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "600", HostConfig={"Memory": 64 << 20})
    answer = update(api, container, Memory=32 << 20, MemorySwap=64 << 20, CpuShares=512, PidsLimit=50)
    assert (answer.status, answer.json()) == (200, {"Warnings": None})
    found = host_config(api, container)
    assert (found["Memory"], found["MemorySwap"], found["CpuShares"], found["PidsLimit"]) == (
        32 << 20,
        64 << 20,
        512,
        50,
    )
    stats = api.get(f"/containers/{container}/stats?stream=0&one-shot=1")
    assert (stats["memory_stats"]["limit"], stats["pids_stats"]["limit"]) == (32 << 20, 50)
    cli.ok("update", "--cpus", "1.5", container)
    assert host_config(api, container)["NanoCpus"] == 1_500_000_000


def test_it_outlives_a_restart(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "600")
    assert update(api, container, PidsLimit=77).status == 200
    assert api.post(f"/containers/{container}/restart?t=0").status == 204
    assert api.get(f"/containers/{container}/stats?stream=0&one-shot=1")["pids_stats"]["limit"] == 77


def test_restart_policy(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("true")
    assert update(api, container, RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 3}).status == 200
    assert host_config(api, container)["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    unknown = update(api, container, RestartPolicy={"Name": "bogus"})
    assert (unknown.status, unknown.message[:22]) == (400, "invalid restart policy")
    removed = create("true", HostConfig={"AutoRemove": True})
    refused = update(api, removed, RestartPolicy={"Name": "always"})
    assert refused.status == 409
    assert "Restart policy cannot be updated because AutoRemove is enabled" in refused.message


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"Memory": 1000}, 400, "Minimum memory limit allowed is 6MB"),
        ({"CpusetCpus": "999"}, 400, "Requested CPUs are not available - requested 999"),
        ({"Memory": 32 << 20}, 409, "Memory limit should be smaller than already set memoryswap limit"),
        ({"CpuPeriod": 50000}, 409, "CPU Period cannot be updated as NanoCPUs has already been set"),
    ],
)
def test_refusals(api: RawHttp, create: Callable[..., str], body: dict[str, Any], status: int, message: str) -> None:
    container = create("true", HostConfig={"NanoCpus": 500_000_000})
    before = host_config(api, container)
    answer = update(api, container, **body)
    assert answer.status == status
    assert message in answer.message
    assert host_config(api, container) == before


def test_nothing_to_change(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "600")
    answer = api.request("POST", f"/containers/{container}/update", b"", {"Content-Type": "application/json"})
    assert (answer.status, answer.json()) == (200, {"Warnings": None})


def test_a_limit_of_pids_goes(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "600", HostConfig={"PidsLimit": 50})
    answer = api.post(f"/containers/{container}/update", {"PidsLimit": -1})
    assert (answer.status, answer.json()) == (200, {"Warnings": None})
    assert most_pids(api, container) is None


def most_pids(api: RawHttp, container: str) -> int | None:
    """The limit; None for no limit, which is not there on cgroup v1 and the largest number on v2."""
    limit: int | None = api.get(f"/containers/{container}/stats?stream=0&one-shot=1")["pids_stats"].get("limit")
    return None if limit == (1 << 64) - 1 else limit


def runtimes(api: RawHttp) -> list[str]:
    return sorted({"crun", "runc"} & set(api.get("/info")["Runtimes"]))


def test_limits_are_lifted_with_each_runtime(api: RawHttp, start: Callable[..., str]) -> None:
    for runtime in runtimes(api):
        limited = {"PidsLimit": 50, "CpuPeriod": 100_000, "CpuQuota": 50_000}
        container = start("sleep", "600", HostConfig={**limited, "Runtime": runtime})
        assert most_pids(api, container) == 50
        for body in ({"PidsLimit": -1}, {"PidsLimit": 60}, {"PidsLimit": 0}, {"CpuQuota": -1}):
            answer = update(api, container, **body)
            assert (answer.status, answer.body) == (200, b'{"Warnings":null}\n'), (runtime, body)
            assert most_pids(api, container) == (60 if body == {"PidsLimit": 60} else None)


@pytest.mark.parametrize("quota", [-1, -5])
def test_no_quota_at_all(api: RawHttp, start: Callable[..., str], quota: int) -> None:
    for runtime in runtimes(api):
        container = start("sleep", "600", HostConfig={"CpuQuota": quota, "Runtime": runtime})
        assert host_config(api, container)["CpuQuota"] == quota
        assert api.get(f"/containers/{container}/json")["State"]["Running"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        # The runtime says it, or systemd.
        ({"CpuShares": -5}, 500, "the maximum allowed cpu-shares is 262144|CPUWeight is out of range"),
        ({"CpuShares": 300_000}, 500, "the maximum allowed cpu-shares is 262144|CPUWeight is out of range"),
        ({"MemorySwap": -1}, 200, ""),
        ({"MemorySwap": 64 << 20}, None, ""),
    ],
)
def test_what_only_the_runtime_judges(
    api: RawHttp, start: Callable[..., str], create: Callable[..., str], body: dict[str, Any], status: int, message: str
) -> None:
    stopped = create("true")
    assert update(api, stopped, **body).status == 200
    assert host_config(api, stopped).items() >= body.items()
    for runtime in runtimes(api):
        answer = update(api, start("sleep", "600", HostConfig={"Runtime": runtime}), **body)
        # Whether swap may be limited without memory is the kernel's to say: cgroup v1 and v2 differ.
        assert status in (None, answer.status), (runtime, answer.body)
        assert re.search(message, answer.body.decode())


def test_shares_below_zero_are_told_at_the_start(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("true")
    assert update(api, container, CpuShares=-5).status == 200
    answer = api.post(f"/containers/{container}/start")
    assert answer.status == 500
    assert answer.message == "invalid CPU shares (-5): value must be a positive integer"
    assert update(api, container, CpuShares=5).status == 200
    assert api.post(f"/containers/{container}/start").status == 204


def test_a_failed_start_leaves_no_cgroup(api: RawHttp, create: Callable[..., str]) -> None:
    for runtime in runtimes(api):
        container = create("true", HostConfig={"Runtime": runtime, "Sysctls": {"net.ipv4.no_such": "1"}})
        assert api.post(f"/containers/{container}/start").status in (400, 500)
        assert not list(Path("/sys/fs/cgroup").rglob(f"*{container}*"))
