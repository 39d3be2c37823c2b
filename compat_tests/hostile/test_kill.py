"""SIGKILL of the daemon in the middle of everything: nothing is lost, nothing is left.

Each operation is first timed; then the daemon is killed at points spread over that time, started again, and looked at.
"""

import http.client
import re
import statistics
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients import imagefiles, leaks
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Layer, file, tar
from compat_tests.clients.registry import Registry
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite

pytestmark = pytest.mark.wharfd_only("dockerd promises this only with live-restore, and does not keep it")

BODY = {
    "Image": "busybox",
    "Cmd": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"],
    "HostConfig": {
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "34590"}]},
        "Binds": ["killed:/data"],
    },
}
# All that a container can have besides: links, a mounted image, a part of a volume, a limit that is watched.
FURNISHED = {
    **BODY,
    "WorkingDir": "/made/here",
    "HostConfig": {
        "Links": ["bystander:other"],
        "Memory": 64 << 20,
        "IpcMode": "shareable",
        "RestartPolicy": {"Name": "unless-stopped"},
        "Mounts": [
            {"Type": "image", "Source": "busybox", "Target": "/image"},
            {"Type": "image", "Source": "busybox", "Target": "/part", "ImageOptions": {"Subpath": "bin"}},
            {"Type": "volume", "Source": "killed", "Target": "/data"},
        ],
    },
}
# One process only: what it forked would look like a leak.
COUNTER = "mkfifo /p; exec 3<>/p; i=0; while :; do echo tick $i; i=$((i+1)); read -t 0.05 x <&3; done"


@pytest.fixture(scope="module")
def daemon(suite: Suite) -> Iterator[Daemon]:
    with suite.used() as made:
        yield made


@pytest.fixture(scope="module")
def pull_from(suite: Suite, daemon: Daemon) -> Iterator[str]:
    registry = Registry(daemon.namespaces, suite.scratch / "kill-registry")
    layers = [Layer(tar([file(f"noise{number}", imagefiles.noise(3_000_000))])) for number in range(3)]
    yield registry.push(imagefiles.derived(*layers), "tests/killed", "1") + ":1"
    registry.close()


@pytest.fixture
def bystander(daemon: Daemon) -> Iterator[str]:
    """A container that must not notice anything."""
    name = daemon.cli.ok("run", "-d", "--name", "bystander", "-p", "127.0.0.1::80", "busybox", "sh", "-c", COUNTER)
    yield name
    daemon.cli.ok("rm", "-f", "bystander")


@dataclass(frozen=True)
class Operation:
    """`prepare` runs undisturbed, `act` is what gets killed, `undo` brings things back to where they were."""

    prepare: Callable[[Daemon], object]
    act: Callable[[Daemon], object]
    undo: Callable[[Daemon], object]


def post(path: str) -> Callable[[Daemon], object]:
    return lambda daemon: daemon.api.request("POST", path, timeout=20)


def create(daemon: Daemon) -> object:
    return daemon.api.request("POST", "/containers/create?name=victim", BODY, timeout=20)


def create_furnished(daemon: Daemon) -> object:
    return daemon.api.request("POST", "/containers/create?name=victim", FURNISHED, timeout=20)


def created_and_started(daemon: Daemon) -> None:
    create(daemon)
    assert daemon.api.post("/containers/victim/start").status == 204


def remove(daemon: Daemon) -> None:
    daemon.api.request("DELETE", "/containers/victim?force=1&v=1")
    daemon.api.request("DELETE", "/volumes/killed")


def delete(daemon: Daemon) -> object:
    return daemon.api.request("DELETE", "/containers/victim?force=1", timeout=20)


def run(daemon: Daemon) -> None:
    create(daemon)
    post("/containers/victim/start")(daemon)
    post("/containers/victim/stop?t=1")(daemon)
    delete(daemon)


def run_furnished(daemon: Daemon) -> None:
    create_furnished(daemon)
    post("/containers/victim/start")(daemon)
    post("/containers/victim/stop?t=1")(daemon)
    delete(daemon)


def nothing(daemon: Daemon) -> None:
    pass


OPERATIONS = {
    "create": Operation(nothing, create, remove),
    "start": Operation(create, post("/containers/victim/start"), remove),
    "stop": Operation(created_and_started, post("/containers/victim/stop?t=1"), remove),
    "restart": Operation(created_and_started, post("/containers/victim/restart?t=1"), remove),
    "rm": Operation(created_and_started, delete, remove),
    "run": Operation(nothing, run, remove),
    "run of a furnished one": Operation(nothing, run_furnished, remove),
}


def duration(daemon: Daemon, operation: Operation) -> float:
    times = []
    for _ in range(3):
        operation.prepare(daemon)
        began = time.monotonic()
        operation.act(daemon)
        times.append(time.monotonic() - began)
        operation.undo(daemon)
    return statistics.median(times)


def kill_during(daemon: Daemon, act: Callable[[Daemon], object], delay: float) -> None:
    """Begin, wait, kill, and start again."""

    def attempt() -> None:
        try:
            act(daemon)
        except (OSError, ValueError, AssertionError, http.client.HTTPException):
            return  # the daemon went away under it: that is the point

    thread = threading.Thread(target=attempt)
    thread.start()
    time.sleep(delay)  # the moment of the kill is what this test varies
    daemon.kill()
    thread.join(30)
    remember_ids(daemon)
    daemon.start()


def remember_ids(daemon: Daemon) -> None:
    """Note every container id that shows in the engine's directories, for the check of cgroups."""
    found = set()
    for root in (daemon.data_root, daemon.exec_root):
        for part in root.glob("*/*"):
            found.update(re.findall(r"[0-9a-f]{64}", part.name))
    with (daemon.state / "ids").open("a") as ids:
        ids.writelines(f"{name}\n" for name in found)


def consistent(daemon: Daemon) -> None:
    """Records and processes agree, and every container answers."""
    for summary in daemon.api.get("/containers/json?all=1"):
        found = daemon.api.get(f"/containers/{summary['Id']}/json")
        state = found["State"]
        assert state["Status"] in ("created", "running", "exited"), state
        if state["Running"]:
            assert Path(f"/proc/{state['Pid']}").exists(), state
            assert daemon.cli.ok("exec", summary["Id"], "echo", "here") == "here"
        else:
            assert state["Pid"] == 0


def ticks(daemon: Daemon) -> list[int]:
    return [int(line.split()[1]) for line in daemon.cli.ok("logs", "bystander").splitlines()]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_kill_during(request: pytest.FixtureRequest, daemon: Daemon, bystander: str, name: str) -> None:
    operation = OPERATIONS[name]
    points = 40 if request.config.getoption("full") else 6
    total = duration(daemon, operation)
    remember_ids(daemon)
    before = leaks.footprint(daemon)
    pid = daemon.api.get("/containers/bystander/json")["State"]["Pid"]
    for number in range(points):
        operation.prepare(daemon)
        delay = total * 1.1 * (number + 0.5) / points
        kill_during(daemon, operation.act, delay)
        try:
            consistent(daemon)
            assert daemon.api.get("/containers/bystander/json")["State"]["Pid"] == pid
            operation.undo(daemon)
            assert [entry["Names"] for entry in daemon.api.get("/containers/json?all=1")] == [["/bystander"]]
            leaks.check(daemon, before)
        except AssertionError as error:
            raise AssertionError(
                f"killed {delay * 1000:.1f} ms into {name} ({total * 1000:.1f} ms): {error}"
            ) from error
    seen = ticks(daemon)
    assert seen == list(range(len(seen))), "the bystander's log has a gap"
    last = seen[-1]
    assert eventually(lambda: ticks(daemon)[-1] > last + 2)


@pytest.mark.timeout(600)
def test_kill_during_pull(request: pytest.FixtureRequest, daemon: Daemon, pull_from: str) -> None:
    def pull(daemon: Daemon) -> None:
        with daemon.api.stream("POST", "/images/create?fromImage=" + urllib.parse.quote(pull_from, safe="")) as stream:
            stream.read_all()

    def forget(daemon: Daemon) -> None:
        daemon.api.request("DELETE", f"/images/{pull_from}")

    total = duration(daemon, Operation(nothing, pull, forget))
    before = leaks.footprint(daemon)
    points = 40 if request.config.getoption("full") else 8
    for number in range(points):
        kill_during(daemon, pull, total * 1.1 * (number + 0.5) / points)
        known = daemon.api.request("GET", f"/images/{pull_from}/json").status
        assert known in (200, 404)
        if known == 404:
            leaks.check(daemon, before, but=r"/content/ingest/")  # kept, for the next pull goes on from there
        assert daemon.cli.ok("run", "--rm", pull_from, "sh", "-c", "cat /noise0 /noise1 /noise2 | wc -c") == "9000000"
        forget(daemon)
        leaks.check(daemon, before)


def ended(daemon: Daemon, name: str, **expected: Any) -> None:
    state = daemon.api.get(f"/containers/{name}/json")["State"]
    shown = {key: state[key] for key in expected}
    assert shown == expected, state


def test_what_ended_meanwhile(daemon: Daemon, tmp_path: Path) -> None:
    """Exit codes, last words, restart policies and auto-removal of containers that end while no daemon is there."""
    tmp_path.chmod(0o755)
    script = "echo begun; while [ ! -e /go/now ]; do sleep 0.05; done; echo last words; exit 7"
    cli = daemon.cli
    kinds = {
        "plain": (),
        "gone": ("--rm",),
        "always": ("--restart", "always"),
        "failing": ("--restart", "on-failure:1"),
    }
    for name, options in kinds.items():
        cli.ok("run", "-d", "--name", name, "-v", f"{tmp_path}:/go", *options, "busybox", "sh", "-c", script)
    pids = [daemon.api.get(f"/containers/{name}/json")["State"]["Pid"] for name in kinds]
    before = time.time()
    daemon.kill()
    (tmp_path / "now").touch()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="the containers' end")
    (tmp_path / "now").unlink()
    daemon.start()
    ended(daemon, "plain", Status="exited", ExitCode=7, Running=False, OOMKilled=False, Pid=0)
    assert cli.ok("logs", "plain") == "begun\nlast words"
    finished = daemon.api.get("/containers/plain/json")["State"]["FinishedAt"]
    assert finished.startswith(time.strftime("%Y-%m-%d", time.gmtime(before)))
    assert eventually(lambda: daemon.api.request("GET", "/containers/gone/json").status == 404)
    for name in ("always", "failing"):
        assert eventually(lambda name=name: daemon.api.get(f"/containers/{name}/json")["State"]["Running"])
        assert eventually(lambda name=name: cli.ok("logs", name) == "begun\nlast words\nbegun")
    assert cli.ok("start", "plain") == "plain"


def test_running_containers_go_on(daemon: Daemon, bystander: str) -> None:
    """Processes, output, ports and addresses over a kill and over a clean stop; attach and exec work afterwards."""
    cli = daemon.cli
    cli.ok("run", "-di", "--name", "reader", "busybox", "sh", "-c", "while read line; do echo got $line; done")
    found = daemon.api.get("/containers/bystander/json")
    for end in (daemon.kill, daemon.stop):
        count = len(ticks(daemon))
        end()
        assert Path(f"/proc/{found['State']['Pid']}").exists()
        daemon.start()
        again = daemon.api.get("/containers/bystander/json")
        for key in ("Pid", "StartedAt", "Running"):
            assert again["State"][key] == found["State"][key], key
        assert again["NetworkSettings"]["Ports"] == found["NetworkSettings"]["Ports"]
        address = found["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        assert again["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == address
        other = cli.ok("run", "--rm", "busybox", "hostname", "-i")
        assert other != address
        assert eventually(lambda count=count: len(ticks(daemon)) > count + 5)
        with cli.spawn("attach", "reader") as attached:
            assert attached.stdin is not None and attached.stdout is not None
            attached.stdin.write(b"word\n")
            attached.stdin.flush()
            assert attached.stdout.readline() == b"got word\n"
        assert cli.ok("exec", "reader", "echo", "in") == "in"
    seen = ticks(daemon)
    assert seen == list(range(len(seen)))
    cli.ok("stop", "-t", "0", "reader")
    cli.ok("rm", "reader")


def test_a_start_of_the_daemon_honours_restart_policies(daemon: Daemon) -> None:
    cli = daemon.cli
    for name, policy in (("always", "always"), ("unless", "unless-stopped"), ("no", "no")):
        cli.ok("run", "-d", "--name", name, "--restart", policy, "busybox", "sleep", "300")
    cli.ok("stop", "-t", "0", "always", "unless", "no")
    daemon.restart()
    assert eventually(lambda: cli.ok("ps", "--format", "{{.Names}}") == "always")


def test_killed_again_and_again_while_starting(daemon: Daemon, bystander: str) -> None:
    for delay in (0.0, 0.05, 0.1, 0.2, 0.3, 0.4):
        daemon.kill()
        daemon.launch()
        time.sleep(delay)
    daemon.kill()
    daemon.start()
    consistent(daemon)
    seen = ticks(daemon)
    assert seen == list(range(len(seen)))


@pytest.fixture(autouse=True)
def clean(daemon: Daemon) -> Iterator[None]:
    """This module's daemon, instead of the session's, is wiped after each test."""
    yield
    if not daemon.running:
        daemon.start()
    daemon.wipe()


@pytest.fixture(scope="module", autouse=True)
def nothing_left() -> None:
    """The checks for leaks are in the tests."""
