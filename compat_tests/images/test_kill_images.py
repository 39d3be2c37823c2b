"""SIGKILL in the middle of load, push, save, rmi and prune: `system df` and `du` agree, nothing is left."""

import http.client
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Layer, file, tar
from compat_tests.clients.registry import Registry
from compat_tests.conftest import Suite, finish

pytestmark = pytest.mark.wharfd_only("dockerd's containerd collects its garbage in its own time")

LAYERS = [Layer(tar([file(f"noise{number}", imagefiles.noise(2_000_000))])) for number in range(2)]
ARCHIVE = imagefiles.archive(imagefiles.derived(*LAYERS), "docker.io/library/killed:1")


@pytest.fixture(scope="module")
def daemon(suite: Suite) -> Iterator[Daemon]:
    made = suite.daemon()
    made.start()
    yield made
    finish(made)


@pytest.fixture(scope="module")
def target(suite: Suite, daemon: Daemon) -> Iterator[str]:
    registry = Registry(daemon.namespaces, suite.scratch / "kill-push")
    yield f"{registry.address}/killed"
    registry.close()


def left(daemon: Daemon) -> list[str]:
    """Blobs and layers in the store."""
    found = [*(daemon.data_root / "content/blobs/sha256").iterdir(), *(daemon.data_root / "layers").iterdir()]
    return [str(path) for path in found]


def load(daemon: Daemon, _: str) -> None:
    daemon.api.request("POST", "/images/load", ARCHIVE)


def push(daemon: Daemon, target: str) -> None:
    daemon.api.request("POST", f"/images/{target}/push?tag=1", headers={"X-Registry-Auth": "e30="})


def save(daemon: Daemon, _: str) -> None:
    daemon.api.request("GET", "/images/killed:1/get")


def remove(daemon: Daemon, _: str) -> None:
    daemon.api.request("DELETE", "/images/killed:1?force=1")


def prune(daemon: Daemon, _: str) -> None:
    daemon.api.request("POST", "/images/prune?filters=" + urllib.parse.quote('{"dangling":["false"]}'))


def kill_during(daemon: Daemon, act: Callable[[], None], delay: float) -> None:
    def attempt() -> None:
        try:
            act()
        except (OSError, ValueError, http.client.HTTPException):
            return  # the daemon went away under it: that is the point

    thread = threading.Thread(target=attempt)
    thread.start()
    time.sleep(delay)
    daemon.kill()
    thread.join()
    daemon.start()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("act", [load, push, save, remove, prune], ids=lambda act: act.__name__)
def test_kill(request: pytest.FixtureRequest, daemon: Daemon, target: str, act: Callable[[Daemon, str], None]) -> None:
    points = 30 if request.config.getoption("full") else 5
    for number in range(points):
        if act is not load:
            load(daemon, target)
            daemon.api.post(f"/images/killed:1/tag?repo={target}&tag=1")
        kill_during(daemon, lambda: act(daemon, target), 0.12 * number / points)
        for image in daemon.api.get("/images/json?all=1"):
            daemon.api.request("DELETE", f"/images/{image['Id']}?force=1")
        assert not left(daemon), f"{act.__name__}, point {number}"
        assert daemon.api.get("/system/df")["LayersSize"] == 0
