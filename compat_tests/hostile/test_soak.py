"""The daemon is killed at random while everything goes on at once: who lives on lives on, and nothing is left.

A short form in each run; with `--full`, half an hour.
"""

import io
import random
import re
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from compat_tests.clients import leaks
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import IdRecorder, Suite

pytestmark = pytest.mark.wharfd_only("dockerd promises this only with live-restore, and does not keep it")
COUNTER = "mkfifo /p; exec 3<>/p; i=0; while :; do echo tick $i; i=$((i+1)); read -t 0.1 x <&3; done"
SHORT, LONG = 12.0, 1800.0
Work = Callable[[Daemon, str, random.Random], object]


@pytest.fixture(scope="module")
def daemon(suite: Suite) -> Iterator[Daemon]:
    with suite.used() as made:
        yield made


@pytest.fixture(autouse=True)
def clean() -> None:
    """The daemon is this module's own."""


def run(daemon: Daemon, name: str, dice: random.Random) -> None:
    arguments = ["-d"] if dice.random() < 0.3 else []
    arguments += ["-p", "127.0.0.1::80"] if dice.random() < 0.5 else []
    arguments += ["-v", f"vol-{name}:/data"] if dice.random() < 0.3 else []
    command = dice.choice([["true"], ["sleep", "0.2"], ["sh", "-c", "seq 2000"]])
    daemon.cli.run("run", "--rm", "--name", name, *arguments, "busybox", *command)


def life(daemon: Daemon, name: str, dice: random.Random) -> None:
    for words in (
        ["create", "--name", name, "--restart", dice.choice(["no", "always"]), "busybox", "sleep", "100"],
        ["start", name],
        [dice.choice(["pause", "exec"]), name, *(["true"] if dice.random() < 0.5 else [])],
        ["restart", "-t", "0", name],
        ["rm", "-f", "-v", name],
    ):
        daemon.cli.run(*words)


def network(daemon: Daemon, name: str, dice: random.Random) -> None:
    daemon.cli.run("network", "create", f"net-{name}")
    daemon.cli.run("run", "--rm", "--name", name, "--network", f"net-{name}", "busybox", "nslookup", name)
    daemon.cli.run("network", "rm", f"net-{name}")


def image(daemon: Daemon, name: str, dice: random.Random) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo(f"{name}.bin")
        member.size = 200_000
        tar.addfile(member, io.BytesIO(dice.randbytes(member.size)))
    daemon.cli.run("import", "-", f"soak/{name}", stdin=archive.getvalue())
    daemon.cli.run("image", "rm", "-f", f"soak/{name}")


def build(daemon: Daemon, name: str, dice: random.Random) -> None:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        text = f"FROM busybox\nRUN echo {name} > /name; sleep 0.1\nCOPY Dockerfile /d\n".encode()
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    daemon.cli.environment["DOCKER_BUILDKIT"] = "0"
    daemon.cli.run("build", "-t", f"soak/{name}", "-", stdin=context.getvalue())
    daemon.cli.run("image", "rm", "-f", f"soak/{name}")


WORKS: tuple[Work, ...] = (run, run, life, network, image, build)


def keep_busy(daemon: Daemon, number: int, over: threading.Event) -> None:
    """Do one thing after the other. That a command fails, or hangs on a daemon that is gone, is the point."""
    dice = random.Random(number)
    for turn in range(100_000):
        if over.is_set():
            return
        try:
            dice.choice(WORKS)(daemon, f"soak-{number}-{turn}", dice)
        except subprocess.TimeoutExpired:
            continue


def numbers(daemon: Daemon, name: str) -> list[int]:
    return [int(found) for found in re.findall(r"^tick (\d+)$", daemon.cli.ok("logs", name), re.MULTILINE)]


def wipe(daemon: Daemon) -> None:
    for name in daemon.cli.ok("ps", "-aq").split():
        daemon.cli.run("rm", "-f", "-v", name)
    daemon.cli.ok("network", "prune", "-f")
    daemon.cli.ok("volume", "prune", "-af")
    for name in daemon.cli.ok("images", "--format", "{{.Repository}}", "--filter", "reference=soak/*").split():
        daemon.cli.ok("image", "rm", "-f", name)
    daemon.cli.ok("image", "prune", "-f")
    assert daemon.api.post("/build/prune?all=1").status == 200


@pytest.mark.timeout(3600)
def test_killed_over_and_over(request: pytest.FixtureRequest, daemon: Daemon) -> None:
    seconds = LONG if request.config.getoption("full") else SHORT
    dice, over, recorder = random.Random(1), threading.Event(), IdRecorder(daemon)
    wipe(daemon)
    before = leaks.footprint(daemon)
    for number in range(3):
        daemon.cli.ok("run", "-d", "--name", f"witness-{number}", "-p", "127.0.0.1::80", "busybox", "sh", "-c", COUNTER)
    pids = daemon.cli.ok("inspect", "-f", "{{.State.Pid}}", "witness-0", "witness-1", "witness-2")
    workers = [threading.Thread(target=keep_busy, args=(daemon, number, over)) for number in range(4)]
    for worker in workers:
        worker.start()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(dice.uniform(0.05, 2.5))
            daemon.kill()
            daemon.start()
            names = ("witness-0", "witness-1", "witness-2")
            assert daemon.cli.ok("inspect", "-f", "{{.State.Pid}}", *names) == pids
            assert daemon.cli.ok("exec", dice.choice(names), "echo", "here") == "here"
    finally:
        over.set()
        for worker in workers:
            worker.join()
    for number in range(3):
        seen = numbers(daemon, f"witness-{number}")
        assert seen == list(range(seen[0], seen[0] + len(seen)))
        assert len(seen) > 5 * seconds
    recorder.close()
    wipe(daemon)
    eventually(lambda: not daemon.cli.ok("ps", "-aq"))
    leaks.check(daemon, before, timeout=20)
