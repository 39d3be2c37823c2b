"""update: limits at once, restart policies, refusals."""

from collections.abc import Callable
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
