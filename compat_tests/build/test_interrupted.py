"""Builds that are cut off: by SIGKILL of the daemon, by a disk that is full. Nothing is left, and the next one works."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.build.test_run_mounts import running
from compat_tests.clients import leaks
from compat_tests.clients.buildx import Buildx
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite, finish, load_busybox

pytestmark = pytest.mark.wharfd_only("what a killed dockerd leaves is its own affair")
STEPS = "FROM busybox\nCOPY noise /noise\n" + "".join(f"RUN echo {n} > /f{n}; sleep 0.05\n" for n in range(6))
# What is being deleted, and the files that the database keeps beside it.
KEPT = r"/data/(layers|content|overlay)/|/data/build/"


@pytest.fixture(scope="module")
def daemon(suite: Suite) -> Iterator[Daemon]:
    made = suite.daemon()
    made.start()
    load_busybox(made)
    yield made
    finish(made)


@pytest.fixture
def project(daemon: Daemon, tmp_path: Path) -> Buildx:
    return Buildx(daemon.cli, tmp_path / "context")


def begun(process: "subprocess.Popen[bytes]") -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.rstrip().endswith(b" begun"):
            return


def test_the_cache_outlives_the_daemon(daemon: Daemon, project: Buildx) -> None:
    project.write({"Dockerfile": STEPS, "noise": "1"})
    project.ok("-t", "kept")
    for end in (daemon.stop, daemon.kill):
        end()
        daemon.start()
        found = project.ok("-t", "kept")
        assert {state for name, state in found.steps.items() if "RUN" in name or "COPY" in name} == {"CACHED"}


def test_a_killed_daemon_leaves_nothing_of_a_command(daemon: Daemon, project: Buildx) -> None:
    marker = f"87{time.time_ns() % 10**6}"
    before = leaks.footprint(daemon)
    mounts = (
        "--mount=type=cache,target=/c --mount=type=tmpfs,target=/t --mount=type=secret,id=s --mount=target=/x,source=d"
    )
    project.write({"Dockerfile": f"FROM busybox\nRUN {mounts} echo begun; sleep {marker}\n", "d/f": "1", "secret": "s"})
    arguments = project.arguments("--secret", f"id=s,src={project.directory}/secret")
    with project.cli.spawn(*arguments) as process:
        begun(process)
        daemon.kill()
        process.wait(30)
    daemon.start()
    eventually(lambda: not running(marker), 10)
    leaks.check(daemon, before, but=KEPT)
    project.write({"Dockerfile": f"FROM busybox\nRUN {mounts} true\n"})
    project.ok("--secret", f"id=s,src={project.directory}/secret")


def test_a_killed_daemon_leaves_nothing_of_a_command_on_scratch(daemon: Daemon, project: Buildx) -> None:
    marker = f"88{time.time_ns() % 10**6}"
    before = leaks.footprint(daemon)
    command = '["/b/bin/busybox", "sh", "-c", "echo begun; sleep {}"]'
    dockerfile = f"FROM scratch\nRUN --mount=from=busybox,target=/b {command}\n"
    project.write({"Dockerfile": dockerfile.format(marker)})
    with project.cli.spawn(*project.arguments()) as process:
        begun(process)
        daemon.kill()
        process.wait(30)
    daemon.start()
    eventually(lambda: not running(marker), 10)
    leaks.check(daemon, before, but=KEPT)
    project.write({"Dockerfile": dockerfile.format(0)})
    project.ok()


@pytest.mark.parametrize("delay", [0.2, 0.45])
def test_a_daemon_killed_at_any_moment(daemon: Daemon, project: Buildx, delay: float) -> None:
    before = leaks.footprint(daemon)
    project.write({"Dockerfile": STEPS, "noise": str(delay)})
    with project.cli.spawn(*project.arguments("-t", "cut")) as process:
        time.sleep(delay)
        daemon.kill()
        process.communicate(timeout=30)
    daemon.start()
    project.ok("-t", "cut")
    assert daemon.cli.ok("run", "--rm", "cut", "cat", "/noise", "/f5") == f"{delay}5"
    leaks.check(daemon, before, but=KEPT)


def test_nothing_is_left_when_the_cache_is_pruned(daemon: Daemon, project: Buildx) -> None:
    for image in daemon.api.get("/images/json?all=1"):
        daemon.api.request("DELETE", f"/images/{image['Id']}?force=1")
    assert daemon.api.request("POST", "/build/prune?all=1").status == 200
    root = daemon.data_root

    def empty() -> bool:
        return not [*(root / "layers").iterdir(), *(root / "content/blobs/sha256").iterdir()]

    eventually(empty, 10)
    assert daemon.api.get("/system/df")["BuildCache"] == []
    load_busybox(daemon)


@pytest.fixture(scope="module")
def small(suite: Suite) -> Iterator[Daemon]:
    """A daemon with little space."""
    made = suite.daemon()
    made.data_root.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(made.data_root)]
    subprocess.run(made.namespaces.command(mount), check=True)
    try:
        made.start()
        load_busybox(made)
        yield made
    finally:
        finish(made)
        subprocess.run(["umount", "-l", str(made.data_root)], check=False, capture_output=True)


def free(daemon: Daemon) -> int:
    argv = daemon.namespaces.command(["df", "-k", "--output=avail", str(daemon.data_root)])
    return int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[-1])


@pytest.mark.parametrize(
    ("dockerfile", "reason"),
    [
        ("FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=60\n", "No space left on device"),
        ("FROM busybox\nRUN dd if=/dev/zero of=/a bs=1M count=15\nCOPY big /b\n", "no space left on device"),
        ("FROM busybox\nRUN dd if=/dev/urandom of=/a bs=1M count=20\nRUN true\n", "no space left on device"),
    ],
    ids=["command", "copy", "archive"],
)
def test_a_full_disk(small: Daemon, tmp_path: Path, dockerfile: str, reason: str) -> None:
    project, before = Buildx(small.cli, tmp_path / "context"), free(small)
    project.write({"Dockerfile": dockerfile, "big": "x" * 12_000_000})
    found = project.build("-t", "large")
    assert found.code == 1
    assert reason.lower() in found.text.lower()
    assert small.cli.run("image", "inspect", "large").code != 0
    assert small.api.request("POST", "/build/prune?all=1").status == 200
    assert eventually(lambda: free(small) > before - 2000, what="the space is free again")
    project.write({"Dockerfile": "FROM busybox\nRUN echo works\n"})
    project.ok("-t", "works")
    small.cli.ok("rmi", "works")
    small.api.request("POST", "/build/prune?all=1")
