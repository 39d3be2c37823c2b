"""A data root without space: a clear error, everything as before, and the next attempt works when there is space."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Image, Layer, file, tar
from compat_tests.clients.registry import Registry
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite, finish, load_busybox

pytestmark = pytest.mark.wharfd_only("dockerd keeps what it could not unpack, and says that it is loaded")

MEGABYTES = 40
LARGE = Image((Layer(tar([file("large", imagefiles.noise(24_000_000))])),), {"Cmd": ["/large"]})
SMALL = Image((Layer(tar([file("small", b"s")])),), {"Cmd": ["/small"]})
FULL = "no space left on device"


@pytest.fixture(scope="module")
def daemon(suite: Suite) -> Iterator[Daemon]:
    made = suite.daemon()
    made.data_root.mkdir(parents=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(made.data_root)]
    subprocess.run(made.namespaces.command(argv), check=True)
    try:
        made.start()
        load_busybox(made)
        yield made
    finally:
        finish(made)
        subprocess.run(["umount", "-l", str(made.data_root)], check=False, capture_output=True)
        assert not Path(made.data_root).is_mount()


def used(daemon: Daemon) -> int:
    """MiB on the data root."""
    out = subprocess.run(
        daemon.namespaces.command(["df", "-k", "--output=used", str(daemon.data_root)]),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return int(out.split()[-1]) // 1024


@pytest.fixture
def as_before(daemon: Daemon) -> Iterator[None]:
    """What failed has left nothing, neither on the disk nor in lists, and something small still works."""
    before = used(daemon)
    yield
    assert [image["RepoTags"] for image in daemon.api.get("/images/json?all=1")] == [["busybox:latest"]]
    assert eventually(lambda: used(daemon) <= before, what="the space is free again")
    daemon.cli.ok("load", "-q", stdin=imagefiles.archive(SMALL, "docker.io/library/small:1"))
    daemon.cli.ok("rmi", "small:1")


@pytest.mark.usefixtures("as_before")
def test_load(daemon: Daemon) -> None:
    result = daemon.cli.run("load", stdin=imagefiles.archive(LARGE, "docker.io/library/large:1"))
    assert result.code == 1
    layer = imagefiles.digest(LARGE.layers[0].blob)
    assert result.err.strip() == f"failed to extract layer {layer}: {FULL}"


@pytest.mark.usefixtures("as_before")
def test_load_of_an_archive_that_is_too_large(daemon: Daemon) -> None:
    image = Image((Layer(tar([file("larger", imagefiles.noise(45_000_000))]), "none"),))
    result = daemon.cli.run("load", stdin=imagefiles.archive(image, "docker.io/library/larger:1"))
    assert result.code == 1
    assert result.err.strip().endswith(FULL)


@pytest.mark.usefixtures("as_before")
def test_import(daemon: Daemon) -> None:
    result = daemon.cli.run("import", "-", "imported:1", stdin=tar([file("imported", imagefiles.noise(45_000_000))]))
    assert result.code == 1
    assert result.err.strip() == f"Error response from daemon: {FULL}"


@pytest.fixture
def registry(daemon: Daemon, tmp_path: Path) -> Iterator[Registry]:
    made = Registry(daemon.namespaces, tmp_path / "registry")
    yield made
    made.close()


@pytest.mark.usefixtures("as_before")
def test_pull(daemon: Daemon, registry: Registry) -> None:
    name = registry.push(LARGE, "full/large", "1")
    result = daemon.cli.run("pull", f"{name}:1")
    assert result.code == 1
    assert result.err.strip().endswith(FULL)
    larger = Image((Layer(tar([file("larger", imagefiles.noise(45_000_000))]), "none"),))
    result = daemon.cli.run("pull", registry.push(larger, "full/larger", "1") + ":1")
    assert result.code == 1
    assert result.err.strip().endswith(FULL)


@pytest.mark.usefixtures("as_before")
def test_commit(daemon: Daemon) -> None:
    container = daemon.cli.ok("run", "-d", "busybox", "sh", "-c", "head -c 24000000 /dev/urandom > /large")
    assert daemon.cli.ok("wait", container) == "0"
    result = daemon.cli.run("commit", container, "committed:1")
    assert (result.code, result.err.strip()) == (1, f"Error response from daemon: {FULL}")
    daemon.cli.ok("rm", container)


@pytest.fixture
def filled(daemon: Daemon) -> Iterator[Callable[[], None]]:
    """Nothing is free any more, until it is called."""
    plug = daemon.data_root / "plug"

    def write() -> None:
        script = f"head -c {MEGABYTES}m /dev/zero > {plug}"
        subprocess.run(daemon.namespaces.command(["sh", "-c", script]), check=False, capture_output=True)

    def free() -> None:
        subprocess.run(daemon.namespaces.command(["rm", "-f", str(plug)]), check=True)

    write()
    yield free
    free()


@pytest.mark.usefixtures("as_before")
def test_what_exists_can_be_removed(daemon: Daemon) -> None:
    """A container that fills the disk is seen to end, and goes; images go, too."""
    daemon.cli.ok("tag", "busybox", "busybox:2")
    container = daemon.cli.ok("run", "-d", "busybox", "sh", "-c", "cat /dev/zero > /large; exit 7")
    assert eventually(lambda: daemon.api.get(f"/containers/{container}/json")["State"]["Status"] == "exited")
    assert daemon.api.get(f"/containers/{container}/json")["State"]["ExitCode"] == 7
    assert used(daemon) >= MEGABYTES - 1
    daemon.cli.ok("rmi", "busybox:2")
    daemon.cli.ok("rm", container)


@pytest.mark.usefixtures("as_before")
def test_nothing_new_is_made(daemon: Daemon, filled: Callable[[], None]) -> None:
    state = daemon.data_root
    for path, body in (("/containers/create", {"Image": "busybox"}), ("/volumes/create", {"Name": "volume"})):
        answer = daemon.api.post(path, body)
        assert answer.status == 500
        assert answer.message.endswith(FULL)
        assert "Errno" not in answer.message
    assert state.exists()
    filled()
    container = daemon.cli.ok("create", "busybox")
    daemon.cli.ok("rm", container)


def test_a_restart_on_a_full_disk(daemon: Daemon) -> None:
    container = daemon.cli.ok("run", "-d", "busybox", "sh", "-c", "cat /dev/zero > /large; sleep 600")
    assert eventually(lambda: used(daemon) >= MEGABYTES - 1)
    daemon.restart()
    assert daemon.api.get(f"/containers/{container}/json")["State"]["Running"]
    daemon.cli.ok("rm", "-f", container)
    assert eventually(lambda: used(daemon) < MEGABYTES // 2)
    assert daemon.cli.ok("run", "--rm", "busybox", "echo", "there") == "there"
