"""Health checks: starting, healthy, unhealthy, the log, events, list filters."""

from typing import Any

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually

_QUICK = ("--health-interval", "200ms", "--health-retries", "2")


def health(api: RawHttp, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/containers/{name}/json")["State"]["Health"]
    return found


def test_healthy_then_unhealthy_then_healthy(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "hc", "--health-cmd", "echo out; test -e /ok", *_QUICK, "busybox", "sleep", "600")
    assert health(api, "hc")["Status"] == "starting"
    eventually(lambda: health(api, "hc")["Status"] == "unhealthy")
    assert health(api, "hc")["FailingStreak"] >= 2
    cli.ok("exec", "hc", "touch", "/ok")
    eventually(lambda: health(api, "hc")["Status"] == "healthy")
    found = health(api, "hc")
    assert found["FailingStreak"] == 0
    assert (found["Log"][-1]["ExitCode"], found["Log"][-1]["Output"]) == (0, "out\n")
    assert set(found["Log"][-1]) == {"Start", "End", "ExitCode", "Output"}
    eventually(lambda: len(health(api, "hc")["Log"]) == 5)
    assert cli.ok("ps", "--format", "{{.Status}}").endswith("(healthy)")
    assert cli.ok("ps", "-q", "--filter", "health=healthy")
    assert not cli.ok("ps", "-q", "--filter", "health=unhealthy")


def test_events(cli: DockerCli, api: RawHttp) -> None:
    filters = '{"event":["health_status"]}'
    with api.stream("GET", f"/events?filters={filters}") as events:
        cli.ok("run", "-d", "--name", "he", "--health-cmd", "true", *_QUICK, "busybox", "sleep", "600")
        event = next(events.lines())
    assert event["Action"] == "health_status: healthy"
    assert event["Actor"]["Attributes"]["name"] == "he"


def test_a_check_that_takes_too_long(cli: DockerCli, api: RawHttp) -> None:
    slow = ("--health-cmd", "sleep 60", "--health-timeout", "300ms", *_QUICK)
    cli.ok("run", "-d", "--name", "slow", *slow, "busybox", "sleep", "600")
    eventually(lambda: health(api, "slow")["Status"] == "unhealthy")
    entry = health(api, "slow")["Log"][0]
    assert entry["ExitCode"] == -1
    assert entry["Output"].startswith("Health check exceeded timeout (300ms)")


def test_start_period(cli: DockerCli, api: RawHttp) -> None:
    patient = ("--health-cmd", "false", "--health-start-period", "60s", "--health-start-interval", "100ms", *_QUICK)
    cli.ok("run", "-d", "--name", "patient", *patient, "busybox", "sleep", "600")
    eventually(lambda: len(health(api, "patient")["Log"] or ()) == 5)
    found = health(api, "patient")
    assert (found["Status"], found["FailingStreak"]) == ("starting", 0)


def test_disabled(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "none", "--no-healthcheck", "busybox", "sleep", "600")
    assert "Health" not in api.get("/containers/none/json")["State"]


def test_stopped_and_started_again(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "again", "--health-cmd", "true", *_QUICK, "busybox", "sleep", "600")
    eventually(lambda: health(api, "again")["Status"] == "healthy")
    cli.ok("stop", "-t", "0", "again")
    assert health(api, "again")["Status"] == "unhealthy"
    cli.ok("start", "again")
    assert health(api, "again")["Status"] == "starting"
    eventually(lambda: health(api, "again")["Status"] == "healthy")
