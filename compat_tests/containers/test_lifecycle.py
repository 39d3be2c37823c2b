"""start, stop, kill, restart, pause, rename, top, wait, rm, prune."""

import json
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually

OBEYS = ("sh", "-c", "trap 'exit 7' TERM; trap 'exit 8' USR1; while :; do sleep 0.05; done")


def state(api: RawHttp, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/containers/{name}/json")["State"]
    return found


def test_start_again(cli: DockerCli, api: RawHttp) -> None:
    assert cli.run("run", "--name", "again", "busybox", "sh", "-c", "echo x >> /f; wc -l < /f; exit 2").code == 2
    first = state(api, "again")
    result = cli.run("start", "-a", "again")
    assert (result.code, result.out) == (2, "2\n")
    second = state(api, "again")
    assert second["StartedAt"] > first["FinishedAt"] > first["StartedAt"]
    assert second["FinishedAt"] > second["StartedAt"]


def test_start_of_a_running_one_is_304(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "60")
    answer = api.post(f"/containers/{container}/start")
    assert (answer.status, answer.body) == (304, b"")


def test_start_wants_no_body(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("sleep", "60")
    answer = api.post(f"/containers/{container}/start", {"Memory": 1})
    assert answer.status == 400
    assert (
        answer.message
        == "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
    )
    assert api.post(f"/containers/{container}/start", {}).status == 204


def test_stop_by_signal(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "obeys", "busybox", *OBEYS)
    eventually(lambda: state(api, "obeys")["Running"])
    assert cli.ok("stop", "obeys") == "obeys"
    assert state(api, "obeys")["ExitCode"] in (7, 143)
    assert api.post("/containers/obeys/stop").status == 304


def test_stop_kills_after_the_grace_period(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "deaf", "busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    began = time.monotonic()
    cli.ok("stop", "-t", "1", "deaf")
    assert 0.9 < time.monotonic() - began < 8
    assert state(api, "deaf")["ExitCode"] == 137


def test_stop_with_another_signal(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "usr", "--stop-signal", "USR1", "busybox", *OBEYS)
    eventually(lambda: cli.run("exec", "usr", "true").code == 0)
    cli.ok("stop", "usr")
    assert state(api, "usr")["ExitCode"] == 8


def test_stop_of_a_container_that_exits_during_it(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "0.2")
    assert api.post(f"/containers/{container}/stop?t=5").status in (204, 304)
    assert state(api, container)["Status"] == "exited"


def test_kill(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "victim", "busybox", "sleep", "60")
    assert cli.ok("kill", "victim") == "victim"
    assert eventually(lambda: not state(api, "victim")["Running"])
    assert state(api, "victim")["ExitCode"] == 137
    assert "is not running" in cli.fails("kill", "victim")


def test_kill_with_a_signal(cli: DockerCli, api: RawHttp) -> None:
    cli.ok(
        "run",
        "-d",
        "--name",
        "usr",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 8' USR1; echo ready; while :; do sleep 0.05; done",
    )
    eventually(lambda: cli.ok("logs", "usr") == "ready")
    cli.ok("kill", "-s", "USR1", "usr")
    assert eventually(lambda: state(api, "usr")["ExitCode"] == 8)


@pytest.mark.parametrize(
    ("signal", "status", "message"),
    [
        ("BOGUS", 400, "invalid signal: BOGUS"),
        ("0", 400, "invalid signal: 0"),
        ("999", 400, "the linux daemon does not support signal 999"),
    ],
)
def test_bad_signals(api: RawHttp, start: Callable[..., str], signal: str, status: int, message: str) -> None:
    start("sleep", "60", name="web")
    answer = api.post(f"/containers/web/kill?signal={signal}")
    assert answer.status == status
    assert message in answer.message


def test_restart(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "web", "-p", "127.0.0.1::80", "-v", "v:/v", "busybox", *OBEYS)
    before = state(api, "web")
    assert cli.ok("restart", "-t", "5", "web") == "web"
    after = state(api, "web")
    assert after["Running"]
    assert after["Pid"] != before["Pid"]
    assert after["StartedAt"] > before["StartedAt"]
    assert cli.ok("port", "web")


def test_pause(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "web", "busybox", "sh", "-c", "while :; do date +%s%N > /now; sleep 0.02; done")
    assert cli.ok("pause", "web") == "web"
    shown = state(api, "web")
    assert (shown["Status"], shown["Paused"], shown["Running"]) == ("paused", True, True)
    answer = api.post("/containers/web/pause")
    assert (answer.status, answer.message) == (
        409,
        f"Container {api.get('/containers/web/json')['Id']} is already paused",
    )
    assert "is paused, unpause the container before exec" in cli.fails("exec", "web", "true")
    assert cli.ok("unpause", "web") == "web"
    assert state(api, "web")["Status"] == "running"
    assert cli.ok("exec", "web", "echo", "alive") == "alive"
    assert api.post("/containers/web/unpause").status == 500


def test_a_paused_container_can_be_removed_and_stopped(cli: DockerCli) -> None:
    cli.ok("run", "-d", "--name", "one", "busybox", "sleep", "60")
    cli.ok("run", "-d", "--name", "two", "--stop-signal", "KILL", "busybox", "sleep", "60")
    cli.ok("pause", "one", "two")
    cli.ok("rm", "-f", "one")
    cli.ok("stop", "-t", "1", "two")
    assert cli.ok("ps", "-a", "--format", "{{.Names}} {{.State}}") == "two exited"


def test_rename(cli: DockerCli, api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "60", name="old")
    start("sleep", "60", name="other")
    cli.ok("rename", "old", "new")
    assert api.get("/containers/new/json")["Id"] == container
    assert api.request("GET", "/containers/old/json").status == 404
    answer = api.post("/containers/new/rename?name=other")
    assert answer.status == 409
    assert answer.message.startswith(
        'Error when allocating new name: Conflict. The container name "/other" is already in use'
    )
    assert api.post("/containers/new/rename").status == 400
    same = api.post("/containers/new/rename?name=new")
    assert (same.status, same.message) == (400, "Renaming a container with the same name as its current name")


def test_top(cli: DockerCli, api: RawHttp, start: Callable[..., str]) -> None:
    start("sleep", "654", name="web")
    lines = cli.ok("top", "web").splitlines()
    assert lines[0].split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert lines[1].endswith("sleep 654")
    assert cli.ok("top", "web", "-o", "pid,comm").splitlines()[0].split() == ["PID", "COMMAND"]
    found = api.get("/containers/web/top")
    assert found["Titles"][1] == "PID"
    assert found["Processes"][0][1] == str(state(api, "web")["Pid"])
    assert len(api.get("/containers/web/top?ps_args=-o%20pid%3DPID")["Processes"]) == 1
    for arguments, message in (
        ("-o%20comm", "Couldn't find PID field in ps output"),
        ("-o%20uid%3DPID", 'specifying "uid=PID" is not allowed'),
        ("--bogus", "ps: error: unknown gnu long option"),
    ):
        answer = api.request("GET", f"/containers/web/top?ps_args={arguments}")
        assert (answer.status, answer.message) == (500, message)


def test_not_running_answers(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("true")
    for method, path in (("POST", "kill"), ("POST", "pause"), ("GET", "top"), ("POST", "resize?h=10&w=10")):
        answer = api.request(method, f"/containers/{container}/{path}")
        assert answer.status == 409, path
        assert f"ontainer {container} is not running" in answer.message
    assert api.post(f"/containers/{container}/exec", {"Cmd": ["true"]}).status == 409
    assert api.post(f"/containers/{container}/stop").status == 304


@pytest.mark.parametrize(
    "path", ["start", "stop", "kill", "restart", "pause", "unpause", "wait", "rename?name=x1", "resize?h=1&w=1"]
)
def test_no_such_container(api: RawHttp, path: str) -> None:
    answer = api.post(f"/containers/nosuch/{path}")
    assert answer.status == 404
    assert "No such container: nosuch" in answer.message


def test_wait(cli: DockerCli) -> None:
    cli.ok("run", "-d", "--name", "one", "busybox", "sh", "-c", "sleep 0.3; exit 4")
    cli.ok("run", "-d", "--name", "two", "busybox", "sh", "-c", "exit 6")
    assert cli.ok("wait", "one", "two").split() == ["4", "6"]


class Waiter(threading.Thread):
    """A wait in the background: `armed` is set once the head of the answer is there."""

    def __init__(self, api: RawHttp, name: str, condition: str) -> None:
        super().__init__()
        self.stream = api.stream("POST", f"/containers/{name}/wait?condition={condition}")
        self.answer: Any = None
        self.start()

    def run(self) -> None:
        self.answer = json.loads(self.stream.read_all())
        self.stream.close()

    def result(self) -> int:
        self.join(20)
        return int(self.answer["StatusCode"])


def test_wait_conditions(api: RawHttp, create: Callable[..., str]) -> None:
    create("sh", "-c", "exit 9", name="web")
    assert api.post("/containers/web/wait").json()["StatusCode"] == 0
    next_exit, removed = Waiter(api, "web", "next-exit"), Waiter(api, "web", "removed")
    assert next_exit.answer is None
    api.post("/containers/web/start")
    assert next_exit.result() == 9
    assert removed.answer is None
    assert api.post("/containers/web/wait?condition=not-running").json() == {"StatusCode": 9}
    api.request("DELETE", "/containers/web")
    assert removed.result() == 9
    bad = api.post("/containers/web/wait?condition=bogus")
    assert (bad.status, bad.message) == (400, 'invalid condition: "bogus"')


def test_wait_for_removal_of_an_auto_remove_container(api: RawHttp, create: Callable[..., str]) -> None:
    create("sh", "-c", "exit 3", name="web", HostConfig={"AutoRemove": True})
    removed = Waiter(api, "web", "removed")
    api.post("/containers/web/start")
    assert removed.result() == 3
    assert api.get("/containers/json?all=1") == []


def test_rm(cli: DockerCli, api: RawHttp, start: Callable[..., str]) -> None:
    start("sleep", "60", name="web")
    refused = api.request("DELETE", "/containers/web")
    assert refused.status == 409
    assert (
        refused.message
        == 'cannot remove container "web": container is running: stop the container before removing or force remove'
    )
    assert cli.ok("rm", "-f", "web") == "web"
    assert cli.ok("ps", "-aq") == ""
    assert api.request("DELETE", "/containers/web").status == 404
    assert cli.fails("rm", "nosuch") == "Error response from daemon: No such container: nosuch"


def test_rm_of_a_created_one(cli: DockerCli, create: Callable[..., str]) -> None:
    create("true", name="made")
    assert cli.ok("rm", "made") == "made"


def test_rm_f_of_many(cli: DockerCli, start: Callable[..., str]) -> None:
    names = [start("sleep", "60", name=f"web{number}") and f"web{number}" for number in range(5)]
    assert sorted(cli.ok("rm", "-f", *names).split()) == names


def test_prune(cli: DockerCli, api: RawHttp, create: Callable[..., str], start: Callable[..., str]) -> None:
    start("sleep", "60", name="running")
    create("true", name="made", Labels={"keep": "1"})
    cli.ok("run", "--name", "done", "busybox", "sh", "-c", "head -c 50000 /dev/zero > /f")
    done = api.get("/containers/done/json")["Id"]
    filters = urllib.parse.quote('{"label!":["keep"]}')
    answer = api.post(f"/containers/prune?filters={filters}").json()
    assert answer["ContainersDeleted"] == [done]
    assert answer["SpaceReclaimed"] >= 50_000
    assert "Total reclaimed space: " in cli.ok("container", "prune", "-f")
    assert cli.ok("ps", "-a", "--format", "{{.Names}}") == "running"
    bad = api.post("/containers/prune?filters=" + urllib.parse.quote('{"bogus":["x"]}'))
    assert (bad.status, bad.message) == (400, "invalid filter 'bogus'")


def test_restart_policies(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "fails", "--restart", "on-failure:2", "busybox", "false")
    cli.ok("run", "-d", "--name", "succeeds", "--restart", "on-failure:2", "busybox", "true")
    cli.ok("run", "-d", "--name", "always", "--restart", "always", "busybox", "sh", "-c", "exit 3")
    assert eventually(lambda: api.get("/containers/fails/json")["RestartCount"] == 2, 20)
    assert eventually(lambda: state(api, "fails")["Status"] == "exited")
    assert state(api, "succeeds")["Status"] == "exited"
    assert api.get("/containers/succeeds/json")["RestartCount"] == 0
    assert eventually(lambda: api.get("/containers/always/json")["RestartCount"] >= 2)
    cli.ok("stop", "always")
    count = api.get("/containers/always/json")["RestartCount"]
    assert state(api, "always")["Status"] == "exited"
    assert api.get("/containers/always/json")["RestartCount"] == count


def test_resize(api: RawHttp, start: Callable[..., str]) -> None:
    start("sleep", "60", name="web", Tty=True)
    assert api.post("/containers/web/resize?h=41&w=99").status == 200
    bad = api.post("/containers/web/resize?h=x&w=1")
    assert bad.status == 400


def test_pid_one_children_die_with_it(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "tree", "busybox", "sh", "-c", "sleep 4242 & sleep 4242 & exec sleep 60")
    eventually(lambda: len(api.get("/containers/tree/top")["Processes"]) == 3)
    cli.ok("kill", "tree")
    assert eventually(lambda: not state(api, "tree")["Running"])


def test_many_at_once(cli: DockerCli, api: RawHttp) -> None:
    threads = [
        threading.Thread(target=cli.ok, args=("run", "-d", "--name", f"many{n}", "busybox", "sleep", "60"))
        for n in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    containers = api.get("/containers/json")
    addresses = {container["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] for container in containers}
    assert len(containers) == len(addresses) == 10
