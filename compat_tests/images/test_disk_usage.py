"""After any sequence of pull, load, tag, remove, prune and kill: `system df` says what `du` says, and all can go."""

import random
import subprocess
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Image, Layer, directory, file, symlink, tar
from compat_tests.clients.registry import StubRegistry
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite, finish

pytestmark = pytest.mark.wharfd_only("dockerd's containerd collects its garbage in its own time, and counts otherwise")

SHARED = [
    Layer(tar([directory(f"s{n}"), file(f"s{n}/f", imagefiles.noise(30_000)), symlink(f"s{n}/l", "f")]))
    for n in range(3)
]
IMAGES = [
    Image((*SHARED[: n % 3 + 1], Layer(tar([file(f"own{n}", imagefiles.noise(5_000 * n))]))), {"Cmd": [str(n)]})
    for n in range(6)
]


@pytest.fixture
def daemon(suite: Suite) -> Iterator[Daemon]:
    made = suite.daemon()
    made.start()
    yield made
    finish(made)


@pytest.fixture
def registry(daemon: Daemon) -> Iterator[StubRegistry]:
    made = StubRegistry(daemon.namespaces)
    for number, image in enumerate(IMAGES):
        made.add(image, f"random/i{number}", "1")
    yield made
    made.close()


def du(daemon: Daemon) -> tuple[int, int]:
    """Bytes of blobs, and bytes that the trees take."""
    blobs = sum(path.stat().st_size for path in (daemon.data_root / "content/blobs/sha256").iterdir())
    trees = [str(path / "diff") for path in (daemon.data_root / "layers").iterdir()]
    if not trees:
        return blobs, 0
    out = subprocess.run(["du", "-s", "--block-size=1", *trees], capture_output=True, text=True, check=True).stdout
    return blobs, sum(int(line.split()[0]) for line in out.splitlines())


def agrees(daemon: Daemon) -> bool:
    blobs, trees = du(daemon)
    said = daemon.api.get("/system/df")["LayersSize"]
    return abs(said - blobs - trees) <= trees // 20


def names(daemon: Daemon) -> list[str]:
    return [name for image in daemon.api.get("/images/json?all=1") for name in image["RepoTags"]]


class Actions:
    """What may happen, chosen by a generator whose seed a failure shows."""

    def __init__(self, daemon: Daemon, registry: StubRegistry, choice: random.Random) -> None:
        self.daemon = daemon
        self.registry = registry
        self.choice = choice

    def pull(self) -> None:
        name = f"{self.registry.address}/random/i{self.choice.randrange(len(IMAGES))}"
        self.daemon.api.post(f"/images/create?fromImage={urllib.parse.quote(name, safe='')}&tag=1")

    def load(self) -> None:
        number = self.choice.randrange(len(IMAGES))
        archive = imagefiles.archive(IMAGES[number], f"docker.io/library/random:{self.choice.randrange(4)}")
        self.daemon.api.request("POST", "/images/load?quiet=1", archive)

    def tag(self) -> None:
        if found := names(self.daemon):
            name = self.choice.choice(found)
            self.daemon.api.post(f"/images/{name}/tag?repo=tagged&tag={self.choice.randrange(4)}")

    def remove(self) -> None:
        if found := names(self.daemon):
            self.daemon.api.request("DELETE", f"/images/{self.choice.choice(found)}?force=1")

    def prune(self) -> None:
        self.daemon.api.post("/images/prune")

    def save(self) -> None:
        if found := names(self.daemon):
            self.daemon.api.request("GET", f"/images/{self.choice.choice(found)}/get")

    def any(self) -> Callable[[], None]:
        return self.choice.choice(
            [self.pull, self.pull, self.load, self.tag, self.remove, self.remove, self.prune, self.save]
        )


def quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except (OSError, HTTPException, ValueError):
        return  # the daemon went away under it: that is the point


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_random_sequences(request: pytest.FixtureRequest, daemon: Daemon, registry: StubRegistry, seed: int) -> None:
    actions = Actions(daemon, registry, random.Random(seed))
    rounds = 20 if request.config.getoption("full") else 3
    for _ in range(rounds):
        for _ in range(10):
            actions.any()()
        assert eventually(lambda: agrees(daemon)), (du(daemon), daemon.api.get("/system/df")["LayersSize"])
        threads = [threading.Thread(target=quietly, args=(actions.any(),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        daemon.kill()
        for thread in threads:
            thread.join()
        daemon.start()
        assert eventually(lambda: agrees(daemon)), (du(daemon), daemon.api.get("/system/df")["LayersSize"])
    for image in daemon.api.get("/images/json?all=1"):
        daemon.api.request("DELETE", f"/images/{image['Id']}?force=1")
    left = [daemon.data_root / "content/blobs/sha256", daemon.data_root / "layers"]
    assert eventually(lambda: not [path for root in left for path in root.iterdir()])
    assert daemon.api.get("/system/df")["LayersSize"] == 0


def test_removal_while_an_image_is_saved(daemon: Daemon) -> None:
    """What a client still reads stays until it has all, and goes then."""
    image = Image((Layer(tar([file("large", imagefiles.noise(20_000_000))]), "none"),), {"Cmd": ["x"]})
    daemon.api.request("POST", "/images/load", imagefiles.archive(image, "docker.io/library/large:1"))
    with daemon.api.stream("GET", "/images/large:1/get") as stream:
        first = stream.read(1000)
        assert daemon.api.request("DELETE", "/images/large:1").status == 200
        rest = stream.read_all()
    assert image.layers[0].tar in first + rest
    blobs = daemon.data_root / "content/blobs/sha256"
    assert eventually(lambda: not list(blobs.iterdir()))
    assert not list(Path(daemon.data_root / "layers").iterdir())
