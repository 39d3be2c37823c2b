"""The policy `image-gc`: unused images go where the disk is too full."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Image, Layer, file, tar
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite, finish, load_busybox

pytestmark = pytest.mark.wharfd_only("a policy of Wharf's own")


@pytest.fixture
def daemon(suite: Suite) -> Iterator[Daemon]:
    made = suite.daemon()
    made.data_root.mkdir(parents=True)
    argv = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(made.data_root)]
    subprocess.run(made.namespaces.command(argv), check=True)
    try:
        made.start()
        yield made
    finally:
        finish(made)
        subprocess.run(["umount", "-l", str(made.data_root)], check=False, capture_output=True)


def names(daemon: Daemon) -> set[str]:
    return {name for image in daemon.api.get("/images/json") for name in image["RepoTags"]}


def settings(daemon: Daemon, **values: int) -> None:
    (daemon.state / "daemon.json").write_text(json.dumps(values))
    daemon.reload()


def test_the_oldest_unused_images_go(daemon: Daemon) -> None:
    load_busybox(daemon)
    container = daemon.cli.ok("create", "busybox")
    for number in range(3):
        image = Image((Layer(tar([file(f"f{number}", imagefiles.noise(8_000_000))])),), {"Cmd": [str(number)]})
        daemon.cli.ok("load", "-q", stdin=imagefiles.archive(image, f"docker.io/library/gc:{number}"))
    assert names(daemon) == {"busybox:latest", "gc:0", "gc:1", "gc:2"}
    settings(daemon, **{"image-gc": 60, "image-gc-age": 0})
    assert eventually(lambda: names(daemon) == {"busybox:latest", "gc:1", "gc:2"})
    settings(daemon, **{"image-gc": 1, "image-gc-age": 0})
    assert eventually(lambda: names(daemon) == {"busybox:latest"})
    assert daemon.cli.ok("start", "-a", container) == ""
    settings(daemon, **{"image-gc": 1, "image-gc-age": 3600})
    daemon.cli.ok("rm", container)
    assert names(daemon) == {"busybox:latest"}


def test_settings_that_make_no_sense(suite: Suite) -> None:
    daemon = suite.daemon("--image-gc", "100")
    try:
        with pytest.raises(RuntimeError, match="invalid image-gc: 100: must be a percentage below 100"):
            daemon.start()
    finally:
        finish(daemon)
