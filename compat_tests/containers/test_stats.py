"""stats: one-shot, once, streaming, stopped containers."""

import time
from collections.abc import Callable

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp


def test_one_shot(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sh", "-c", "while :; do :; done", HostConfig={"Memory": 64 << 20, "PidsLimit": 100})
    time.sleep(0.3)
    stats = api.get(f"/containers/{container}/stats?stream=0&one-shot=1")
    assert stats["preread"] == "0001-01-01T00:00:00Z"
    assert stats["memory_stats"]["limit"] == 64 << 20
    assert stats["memory_stats"]["usage"] > 0
    assert stats["pids_stats"] == {"current": 1, "limit": 100}
    assert stats["cpu_stats"]["cpu_usage"]["total_usage"] > 10_000_000
    assert stats["cpu_stats"]["online_cpus"] >= 1
    assert "system_cpu_usage" not in stats["precpu_stats"]
    assert set(stats["networks"]) == {"eth0"}
    assert set(stats["networks"]["eth0"]) == {
        f"{way}_{what}" for way in ("rx", "tx") for what in ("bytes", "packets", "errors", "dropped")
    }


def test_once_has_a_sample_before(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sh", "-c", "while :; do :; done", name="burner")
    stats = api.get(f"/containers/{container}/stats?stream=0")
    assert (stats["name"], stats["id"]) == ("/burner", container)
    assert stats["read"] > stats["preread"] > "2000"
    used = stats["cpu_stats"]["cpu_usage"]["total_usage"] - stats["precpu_stats"]["cpu_usage"]["total_usage"]
    host = stats["cpu_stats"]["system_cpu_usage"] - stats["precpu_stats"]["system_cpu_usage"]
    assert 0 < used <= host * 1.5


def test_a_container_that_does_not_run(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("true", name="idle")
    stats = api.get(f"/containers/{container}/stats?stream=0")
    assert (stats["read"], stats["name"], stats["id"]) == ("0001-01-01T00:00:00Z", "/idle", container)
    assert (stats["pids_stats"], stats["memory_stats"]) == ({}, {})
    assert stats["blkio_stats"]["io_service_bytes_recursive"] is None
    assert "networks" not in stats


def test_stream(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "60")
    with api.stream("GET", f"/containers/{container}/stats") as stream:
        lines = stream.lines()
        first, second = next(lines), next(lines)
        assert second["preread"] == first["read"]
        api.request("DELETE", f"/containers/{container}?force=1")
        for _ in lines:
            pass


def test_no_network_no_networks(api: RawHttp, start: Callable[..., str]) -> None:
    for mode in ("none", "host"):
        container = start("sleep", "60", HostConfig={"NetworkMode": mode})
        assert "networks" not in api.get(f"/containers/{container}/stats?stream=0&one-shot=1")


def test_errors(api: RawHttp, create: Callable[..., str]) -> None:
    both = api.request("GET", f"/containers/{create('true')}/stats?one-shot=1")
    assert (both.status, both.message) == (400, "cannot have stream=true and one-shot=true")
    assert api.request("GET", "/containers/nope/stats").status == 404


def test_cli(cli: DockerCli) -> None:
    cli.ok("run", "-d", "--name", "shown", "-m", "64m", "busybox", "sleep", "60")
    shown = cli.ok("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.MemUsage}}")
    assert shown.startswith("shown 1 ")
    assert shown.endswith("/ 64MiB")
