"""Checkpoints: what is refused without `--experimental`, and what goes without criu."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite

DISABLED = "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it."


def test_without_experimental_features(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("true")
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/c1")):
        answer = api.request(method, f"/containers/{container}/checkpoints{path}")
        assert (answer.status, answer.message) == (501, DISABLED)
    answer = api.post(f"/containers/{container}/start?checkpoint=c1")
    assert (answer.status, answer.message) == (400, "checkpoint is only supported in experimental mode")


@pytest.fixture(scope="module")
def experimental(suite: Suite) -> Iterator[Daemon]:
    with suite.running("--experimental") as daemon:
        yield daemon


def test_what_is_not_there(experimental: Daemon) -> None:
    cli, api = experimental.cli, experimental.api
    assert api.request("GET", "/_ping").headers["docker-experimental"] == "true"
    cli.ok("run", "-d", "--name", "web", "busybox", "sleep", "300")
    assert cli.ok("checkpoint", "ls", "web") == "CHECKPOINT NAME"
    assert cli.fails("checkpoint", "rm", "web", "c1").endswith("checkpoint c1 does not exist for container web")
    answer = api.post("/containers/web/checkpoints", {"CheckpointID": "../x"})
    assert (answer.status, answer.message) == (
        500,
        "Invalid checkpoint ID (../x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    )
    cli.ok("stop", "-t", "0", "web")
    answer = api.post("/containers/web/checkpoints", {"CheckpointID": "c1"})
    assert (answer.status, answer.message[:10]) == (409, "container ")
    assert cli.fails("start", "--checkpoint", "c1", "web").endswith("checkpoint c1 does not exist for container /web")
    answer = api.post("/containers/web/start?checkpoint=c1&checkpoint-dir=/tmp")
    assert (answer.status, answer.message) == (403, "custom checkpointdir is not supported")


def test_one_that_cannot_be_made_leaves_nothing(experimental: Daemon) -> None:
    api = experimental.api
    experimental.cli.ok("run", "-d", "--name", "db", "--runtime", "runc", "busybox", "sleep", "300")
    answer = api.post("/containers/db/checkpoints", {"CheckpointID": "c1"})
    if answer.status == 201:
        pytest.skip("this host can make checkpoints")
    assert answer.status == 500
    assert answer.message.startswith("Cannot checkpoint container db: runc did not terminate successfully: ")
    assert api.get("/containers/db/checkpoints") == []
    assert api.get("/containers/db/json")["State"]["Running"] is True


_COUNTER = """\
trap 'echo ended at $n; exit 7' TERM
n=0
while true; do n=$((n + 1)); echo $n; sleep 0.1; done
"""


@pytest.mark.wharfd_only("dockerd 28 cannot start from checkpoints: bind-mount /proc/0/ns/net")
def test_processes_go_on_where_they_were(experimental: Daemon) -> None:
    """With a criu that works here; Debian 12's does not with kernels as new as 6.18."""
    cli, api = experimental.cli, experimental.api
    cli.ok("run", "-d", "--name", "counter", "--runtime", "runc", "-p", "127.0.0.1::80", "busybox", "sh", "-c", _COUNTER)
    eventually(lambda: cli.ok("logs", "counter"), what="the first number")
    made = cli.run("checkpoint", "create", "--leave-running", "counter", "early", timeout=60)
    if made.code:
        assert "Cannot checkpoint container counter: runc did not terminate successfully: criu failed" in made.err
        pytest.skip("criu does not work here")
    assert api.get("/containers/counter/json")["State"]["Running"] is True
    cli.ok("checkpoint", "create", "counter", "late", timeout=60)
    assert cli.ok("wait", "counter") == "137"
    assert cli.ok("checkpoint", "ls", "counter").split()[2:] == ["early", "late"]
    before = cli.ok("logs", "counter").splitlines()
    cli.ok("start", "--checkpoint", "late", "counter", timeout=60)
    eventually(lambda: len(cli.ok("logs", "counter").splitlines()) > len(before) + 3, what="further numbers")
    numbers = [int(line) for line in cli.ok("logs", "counter").splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert cli.ok("exec", "counter", "cat", "/proc/1/comm") == "sh"
    assert "inet 10." in cli.ok("exec", "counter", "ip", "-4", "addr", "show", "eth0")
    assert api.get("/containers/counter/json")["NetworkSettings"]["Ports"]["80/tcp"]
    cli.ok("stop", "counter")
    assert api.get("/containers/counter/json")["State"]["ExitCode"] == 7
    assert cli.ok("logs", "--tail", "1", "counter").startswith("ended at ")
    cli.ok("start", "--checkpoint", "early", "counter", timeout=60)
    assert api.get("/containers/counter/json")["State"]["Running"] is True


_PRETENDER = """#!/bin/sh
# runc, but for criu's part: a checkpoint is a file, and what is restored is a process that sleeps.
state={state}
image= pid= ends=kill
for word in "$@"; do
    case $before in
        --image-path) image=$word ;;
        --pid-file) pid=$word ;;
    esac
    [ "$word" = --leave-running ] && ends=true
    before=$word
done
case " $* " in
    *" checkpoint "*) echo frozen > "$image/inventory.img" ;;
    *" restore "*)
        echo "$*" > $state/restored
        [ "$(cat "$image/inventory.img")" = frozen ] || {{ echo "criu failed: type NOTIFY errno 0" >&2; exit 1; }}
        sleep 300 < /dev/null &
        echo -n $! > "$pid" ;;
    *) exec {runc} "$@" ;;
esac
"""


@pytest.fixture
def pretended(suite: Suite, tmp_path: Path) -> Iterator[Daemon]:
    program, runc = tmp_path / "pretender", shutil.which("runc", path="/usr/sbin:/usr/bin")
    program.write_text(_PRETENDER.format(state=tmp_path, runc=runc))
    program.chmod(0o755)
    with suite.running("--experimental", f"--add-runtime=pretender={program}") as daemon:
        yield daemon


@pytest.mark.wharfd_only("dockerd's shim has criu's file format checked before")
def test_a_start_from_a_checkpoint(pretended: Daemon, tmp_path: Path) -> None:
    cli, api = pretended.cli, pretended.api
    cli.ok("run", "-d", "--name", "db", "--runtime", "pretender", "--network", "host", "busybox", "sleep", "300")
    cli.ok("checkpoint", "create", "--leave-running", "db", "c1")
    assert cli.ok("checkpoint", "ls", "db").splitlines()[1:] == ["c1"]
    cli.ok("stop", "-t", "0", "db")
    cli.ok("start", "--checkpoint", "c1", "db")
    state = api.get("/containers/db/json")["State"]
    assert state["Running"] is True
    assert Path(f"/proc/{state['Pid']}/cmdline").read_bytes() == b"sleep\x00300\x00"
    words = (tmp_path / "restored").read_text().split()
    assert words[words.index("--image-path") + 1].endswith("/checkpoints/c1")
    assert "--bundle" in words and "--detach" in words
    cli.ok("kill", "db")
    assert cli.ok("wait", "db") == "137"
    cli.ok("start", "db")
    assert api.get("/containers/db/json")["State"]["Running"] is True


@pytest.mark.wharfd_only("dockerd 28 fails before it asks criu (bind-mount /proc/0/ns/net)")
def test_criu_says_why_not(pretended: Daemon) -> None:
    cli, api = pretended.cli, pretended.api
    cli.ok("run", "-d", "--name", "db", "--runtime", "pretender", "--network", "host", "busybox", "sleep", "300")
    cli.ok("checkpoint", "create", "--leave-running", "db", "c1")
    cli.ok("stop", "-t", "0", "db")
    (image,) = pretended.data_root.glob("**/checkpoints/c1/inventory.img")
    image.write_text("broken")
    answer = api.post("/containers/db/start?checkpoint=c1")
    reason = "failed to create task for container: failed to create shim task: OCI runtime restore failed: criu failed"
    assert (answer.status, answer.message[: len(reason)]) == (500, reason)
    assert api.get("/containers/db/json")["State"]["Status"] == "exited"
