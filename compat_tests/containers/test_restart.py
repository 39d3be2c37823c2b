"""Restart policies over restarts of the daemon, the order of starts, unhealthy containers; memory kills as they happen."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually


def policy(name: str, limit: int = 0, **more: Any) -> dict[str, Any]:
    return {"HostConfig": {"RestartPolicy": {"Name": name, "MaximumRetryCount": limit}}, **more}


def state(api: RawHttp, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/containers/{name}/json")["State"]
    return found


def statuses(api: RawHttp) -> dict[str, str]:
    return {c["Names"][0].removeprefix("/"): c["State"] for c in api.get("/containers/json?all=1")}


def test_over_a_restart_of_the_daemon(
    engine: Daemon, api: RawHttp, cli: DockerCli, start: Callable[..., str], create: Callable[..., str]
) -> None:
    for name in ("always", "unless-stopped", "on-failure"):
        start("sleep", "300", name=f"{name}-running", **policy(name))
        create("sleep", "300", name=f"{name}-created", **policy(name))
    for name in ("no", "always", "unless-stopped"):
        start("sleep", "300", name=f"{name}-stopped", **policy(name))
    cli.ok("stop", "-t", "0", "no-stopped", "always-stopped", "unless-stopped-stopped")
    start("true", name="on-failure-done", **policy("on-failure"))
    start("false", name="given-up", **policy("on-failure", 1))
    assert eventually(
        lambda: (
            state(api, "given-up")["Status"] == "exited" and api.get("/containers/given-up/json")["RestartCount"] == 1
        ),
        20,
    )
    finished = state(api, "given-up")["FinishedAt"]
    engine.restart()
    expected = {
        "always-running": "running",
        "unless-stopped-running": "running",
        "on-failure-running": "running",
        "always-created": "created",
        "unless-stopped-created": "created",
        "on-failure-created": "created",
        "no-stopped": "exited",
        "always-stopped": "running",
        "unless-stopped-stopped": "exited",
        "on-failure-done": "exited",
        "given-up": "exited",
    }
    assert eventually(lambda: statuses(api) == expected, 20), statuses(api)
    assert state(api, "given-up")["FinishedAt"] == finished


def test_on_failure_counts(api: RawHttp, start: Callable[..., str]) -> None:
    start("sh", "-c", "exit 3", name="web", **policy("on-failure", 2))
    assert eventually(lambda: api.get("/containers/web/json")["RestartCount"] == 2, 20)
    assert eventually(lambda: state(api, "web")["Status"] == "exited")
    assert state(api, "web")["ExitCode"] == 3
    assert api.post("/containers/web/start").status == 204
    assert eventually(lambda: api.get("/containers/web/json")["RestartCount"] == 2, 20)


def test_restarts_come_later_and_later(api: RawHttp, start: Callable[..., str]) -> None:
    since = time.time()
    start("sh", "-c", "exit 1", name="web", **policy("on-failure", 4))
    # 0.1, 0.2, 0.4 and 0.8 seconds, and five short runs.
    assert eventually(lambda: api.get("/containers/web/json")["RestartCount"] == 4, 20)
    assert time.time() - since > 1.4


def compose(service: str, depends_on: str = "") -> dict[str, Any]:
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": service}
    return {"Labels": {**labels, "com.docker.compose.depends_on": depends_on}}


@pytest.mark.difference("compose-start-order")
def test_what_compose_linked_starts_in_order(
    engine: Daemon, api: RawHttp, cli: DockerCli, start: Callable[..., str]
) -> None:
    healthy = {"Healthcheck": {"Test": ["CMD", "test", "-e", "/ready"], "Interval": 200_000_000}}
    command = "rm -f /ready; sleep 1; touch /ready; exec sleep 300"
    start("sleep", "300", name="web", **policy("always", **compose("web", "api:service_started:false")))
    start("sleep", "300", name="api", **policy("always", **compose("api", "db:service_healthy:false")))
    start("sh", "-c", command, name="db", **policy("always", **compose("db"), **healthy))
    cli.ok("stop", "-t", "0", "web", "api", "db")
    engine.restart()
    assert eventually(lambda: set(statuses(api).values()) == {"running"}, 20)
    started = {name: state(api, name)["StartedAt"] for name in ("db", "api", "web")}
    assert sorted(started, key=lambda name: started[name]) == ["db", "api", "web"]
    assert state(api, "db")["Health"]["Log"][-1]["End"][:-10] <= started["api"]


@pytest.mark.difference("restart-unhealthy")
def test_unhealthy_containers_are_restarted_where_they_ask_for_it(api: RawHttp, start: Callable[..., str]) -> None:
    check = {"Test": ["CMD", "test", "!", "-e", "/sick"], "Interval": 100_000_000, "Retries": 1}
    command = "rm -f /sick; sleep 1; touch /sick; trap exit TERM; while true; do sleep 0.1; done"
    for name, label in (("revived", "true"), ("left", "false")):
        start("sh", "-c", command, name=name, Healthcheck=check, Labels={"wharf.restart-unhealthy": label})
    first = state(api, "revived")["StartedAt"]
    assert eventually(lambda: state(api, "left")["Health"]["Status"] == "unhealthy", 20)
    assert eventually(lambda: state(api, "revived")["StartedAt"] != first, 20)
    assert state(api, "left")["Health"]["Status"] == "unhealthy"


def test_a_memory_kill_is_told_while_the_container_runs(api: RawHttp, start: Callable[..., str]) -> None:
    since = int(time.time())
    grow = "x=a; while true; do x=$x$x; done"
    container = start("sh", "-c", f"({grow}); exec sleep 300", HostConfig={"Memory": 20 << 20})
    assert eventually(lambda: state(api, container)["OOMKilled"], 20)
    assert state(api, container)["Status"] == "running"
    path = f'/events?since={since}&until={int(time.time()) + 1}&filters={{"container":["{container}"],"event":["oom"]}}'
    with api.stream("GET", path) as events:
        assert [event["Action"] for event in events.lines()] == ["oom"]


def test_removal_in_the_midst_of_restarts(api: RawHttp, create: Callable[..., str]) -> None:
    chance = random.Random(11)
    containers = {create("false", **policy("always")): chance.uniform(0, 1.2) for _ in range(24)}

    def live(container: str) -> int:
        assert api.post(f"/containers/{container}/start").status == 204
        time.sleep(containers[container])
        return api.request("DELETE", f"/containers/{container}?force=1&v=1").status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(live, containers)) == {204}
    time.sleep(0.5)
    assert not {each["Id"] for each in api.get("/containers/json?all=1")} & set(containers)
