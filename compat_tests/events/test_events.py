"""`/events`: order, attributes, filters, replay."""

import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually


class Watcher:
    """Collects events as they come."""

    def __init__(self, api: RawHttp, **filters: list[str]) -> None:
        query = urllib.parse.quote(json.dumps(filters))
        self._stream = api.stream("GET", f"/events?filters={query}")
        self.events: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        try:
            for event in self._stream.lines():
                self.events.append(event)
        except (OSError, ValueError, AttributeError):
            return

    def actions(self) -> list[str]:
        return [event["Action"] for event in self.events]

    def until(self, action: str) -> list[str]:
        eventually(lambda: action in self.actions(), what=f"{action} in {self.actions()}")
        return self.actions()

    def close(self) -> None:
        self._stream.close()
        self._thread.join()


@pytest.fixture
def watch(api: RawHttp) -> Iterator[Callable[..., Watcher]]:
    made: list[Watcher] = []

    def start_watching(**filters: list[str]) -> Watcher:
        made.append(Watcher(api, **filters))
        return made[-1]

    yield start_watching
    for watcher in made:
        watcher.close()


def test_order_of_a_run(cli: DockerCli, watch: Callable[..., Watcher]) -> None:
    watcher = watch()
    cli.ok("run", "--rm", "--name", "web", "-v", "vol:/v", "busybox", "true")
    expected = ["create", "create", "attach", "connect", "mount", "start", "die", "disconnect", "unmount", "destroy"]
    actions = watcher.until("destroy")
    shown = [action for action in actions if action in expected]
    assert sorted(shown) == sorted(expected)
    order = [event["Action"] for event in watcher.events if event["Type"] == "container"]
    assert order == ["create", "attach", "start", "die", "destroy"]


def test_order_of_stop_and_restart(cli: DockerCli, watch: Callable[..., Watcher]) -> None:
    watcher = watch(type=["container"])
    cli.ok(
        "run",
        "-d",
        "--name",
        "web",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done",
    )
    for count, command in ((1, "restart"), (2, "stop")):
        eventually(lambda count=count: cli.ok("logs", "web").count("ready") == count)
        cli.ok(command, "web")
    cli.ok("rm", "web")
    actions = watcher.until("destroy")
    assert actions == ["create", "start", "kill", "stop", "die", "start", "restart", "kill", "stop", "die", "destroy"]


def test_attributes(cli: DockerCli, watch: Callable[..., Watcher]) -> None:
    watcher = watch(type=["container"])
    container = cli.ok(
        "run",
        "-d",
        "--name",
        "web",
        "-l",
        "team=blue",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 4' TERM; while :; do sleep 0.05; done",
    )
    eventually(lambda: cli.run("exec", "web", "true").code == 0)
    cli.ok("rename", "web", "web2")
    cli.ok("kill", "-s", "TERM", "web2")
    watcher.until("die")
    found = {event["Action"].split(":")[0]: event for event in watcher.events}
    for event in watcher.events:
        assert event["Actor"]["ID"] == event["id"] == container
        assert event["status"] == event["Action"]
        assert event["from"] == event["Actor"]["Attributes"]["image"] == "busybox"
        assert event["scope"] == "local"
        assert event["Actor"]["Attributes"]["team"] == "blue"
        assert event["time"] == event["timeNano"] // 10**9
    assert found["create"]["Actor"]["Attributes"] == {"image": "busybox", "name": "web", "team": "blue"}
    assert found["rename"]["Actor"]["Attributes"]["oldName"] == "/web"
    assert found["kill"]["Actor"]["Attributes"]["signal"] == "15"
    assert found["die"]["Actor"]["Attributes"]["exitCode"] == "4"
    assert "execDuration" in found["die"]["Actor"]["Attributes"]
    assert found["exec_create"]["Action"] == "exec_create: true "
    assert found["exec_die"]["Actor"]["Attributes"]["exitCode"] == "0"
    assert len(found["exec_die"]["Actor"]["Attributes"]["execID"]) == 64


def test_network_and_volume_events(cli: DockerCli, watch: Callable[..., Watcher]) -> None:
    watcher = watch(type=["network", "volume"])
    container = cli.ok("run", "-d", "--name", "web", "-v", "vol:/v:ro", "busybox", "sleep", "60")
    cli.ok("rm", "-f", "web")
    cli.ok("volume", "rm", "vol")
    watcher.until("destroy")
    found = {(event["Type"], event["Action"]): event["Actor"] for event in watcher.events}
    assert found["network", "connect"]["Attributes"] == {"container": container, "name": "bridge", "type": "bridge"}
    assert found["volume", "create"] == {"ID": "vol", "Attributes": {"driver": "local"}}
    assert found["volume", "mount"]["Attributes"] == {
        "container": container, "destination": "/v", "driver": "local", "propagation": "", "read/write": "false",
    }  # fmt: skip
    assert found["volume", "unmount"]["Attributes"]["container"] == container
    assert ("network", "disconnect") in found


@pytest.mark.parametrize(
    ("filters", "actions"),
    [
        ({"container": ["one"]}, ["create", "start", "die", "destroy"]),
        ({"event": ["die"]}, ["die", "die"]),
        ({"label": ["who=two"], "type": ["container"]}, ["create", "start", "die", "destroy"]),
        ({"type": ["container"], "event": ["create", "destroy"]}, ["create", "destroy", "create", "destroy"]),
        ({"image": ["busybox"], "event": ["start"]}, ["start", "start"]),
        ({"image": ["nosuch"]}, []),
    ],
    ids=str,
)
def test_filters_on_a_replay(cli: DockerCli, api: RawHttp, filters: dict[str, list[str]], actions: list[str]) -> None:
    began = time.time()
    for name in ("one", "two"):
        cli.ok("run", "-d", "--name", name, "-l", f"who={name}", "--network", "none", "busybox", "true")
        cli.ok("wait", name)
        cli.ok("rm", name)
    query = urllib.parse.quote(json.dumps(filters))
    answer = api.request("GET", f"/events?since={began:.9f}&until={time.time():.9f}&filters={query}")
    shown = [json.loads(line)["Action"] for line in answer.body.splitlines()]
    wanted = [action for action in shown if action in ("create", "start", "die", "destroy")]
    assert wanted == actions


def test_replay_goes_over_into_live(cli: DockerCli, api: RawHttp) -> None:
    began = time.time()
    cli.ok("run", "-d", "--name", "web", "busybox", "sleep", "60")
    with api.stream(
        "GET", f"/events?since={began:.9f}&filters=" + urllib.parse.quote('{"type":["container"]}')
    ) as stream:
        lines = stream.lines()
        assert [next(lines)["Action"] for _ in range(2)] == ["create", "start"]
        cli.ok("pause", "web")
        assert next(lines)["Action"] == "pause"


def test_an_end_in_the_future_ends_the_stream(api: RawHttp) -> None:
    with api.stream(
        "GET", f"/events?until={time.time() + 0.5:.9f}&filters=" + urllib.parse.quote('{"type":["daemon"]}')
    ) as stream:
        assert stream.status == 200
        assert stream.read_all() == b""


def test_bad_times(api: RawHttp) -> None:
    assert api.request("GET", "/events?since=bogus").status in (400, 500)


@pytest.mark.difference("events-survive-restart")
def test_replay_after_a_restart(engine: Daemon, suite: Any) -> None:
    daemon = suite.daemon()
    try:
        daemon.start()
        daemon.cli.ok("volume", "create", "before")
        daemon.restart()
        answer = daemon.api.request(
            "GET", f"/events?since=1&until={time.time():.9f}&filters=" + urllib.parse.quote('{"type":["volume"]}')
        )
        assert [json.loads(line)["Action"] for line in answer.body.splitlines()] == ["create"]
    finally:
        daemon.close()
        daemon.namespaces.close()
