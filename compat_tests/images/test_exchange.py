"""Images that one engine hands to the other, wharfd to real dockerd and back: digests and bytes stay what they are.

The peer has a network of its own. Both reach one registry through a server each, over the same files.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import AnyImage, Image, Index, Layer, file, tar
from compat_tests.clients.oracle import OracleMissing
from compat_tests.clients.registry import Registry
from compat_tests.conftest import Suite, finish
from compat_tests.images.conftest import remove_images

_DOCKERFILE = b"FROM busybox:latest\nRUN echo built > /built\nLABEL made=here\n"


@dataclass(frozen=True)
class Side:
    """An engine, and the registry as it reaches it."""

    daemon: Daemon
    registry: Registry

    def identity(self, reference: str) -> str:
        return self.daemon.cli.ok("inspect", "-f", "{{.Id}}", reference)

    def build(self, name: str) -> str:
        """Build an image under a name that is good at the registry; its reference."""
        reference = f"{self.registry.address}/{name}"
        self.daemon.cli.ok("build", "-q", "-t", reference, "-", stdin=_DOCKERFILE)
        return reference


@pytest.fixture(scope="module")
def peer(suite: Suite, engine: Daemon) -> Iterator[Daemon]:
    daemon = suite.daemon(kind="dockerd" if engine.kind == "wharfd" else "wharfd")
    try:
        daemon.start()
    except OracleMissing as error:
        finish(daemon)
        pytest.skip(str(error))
    busybox = imagefiles.archive(imagefiles.busybox(), "docker.io/library/busybox:latest")
    daemon.cli.ok("load", stdin=busybox)
    yield daemon
    daemon.wipe()
    finish(daemon)


@pytest.fixture(scope="module")
def both(suite: Suite, engine: Daemon, peer: Daemon) -> Iterator[tuple[Side, Side]]:
    root = suite.scratch / "exchange"
    sides = [Side(each, Registry(each.namespaces, root / each.kind, files=root / "files")) for each in (engine, peer)]
    yield sides[0], sides[1]
    for side in sides:
        side.daemon.cli.ok("builder", "prune", "-af")
        side.registry.close()


@pytest.fixture(params=["given", "taken"])
def ends(request: pytest.FixtureRequest, both: tuple[Side, Side]) -> Iterator[tuple[Side, Side]]:
    """From whom to whom: once the engine under test gives, once it takes."""
    yield both if request.param == "given" else both[::-1]
    remove_images(both[1].daemon)


def _index() -> Index:
    ours = imagefiles.derived(Layer(tar([file("index", b"of two")]), "zstd"))
    return Index((ours, Image((Layer(tar([file("index", b"other")])),), architecture="arm64")))


IMAGES: dict[str, Callable[[], AnyImage]] = {
    "docker": lambda: Image(
        imagefiles.busybox().layers, {"Cmd": ["sh"], "Labels": {"a": "b"}}, media_type=imagefiles.DOCKER_MANIFEST
    ),
    "oci": lambda: imagefiles.derived(Layer(tar([file("oci", b"x")]), "gzip"), Env=["A=1"]),
    "index": _index,
}


@pytest.mark.parametrize("kind", IMAGES)
def test_by_archive(ends: tuple[Side, Side], kind: str, tmp_path: Path) -> None:
    giver, taker = ends
    made = IMAGES[kind]()
    giver.daemon.cli.ok("load", stdin=imagefiles.archive(made, "docker.io/library/exchanged:1"))
    giver.daemon.cli.ok("save", "-o", f"{tmp_path}/one.tar", "exchanged:1")
    assert taker.daemon.cli.ok("load", "-i", f"{tmp_path}/one.tar").splitlines()[-1] == "Loaded image: exchanged:1"
    assert giver.identity("exchanged:1") == taker.identity("exchanged:1") == imagefiles.digest(made.manifest)


@pytest.mark.parametrize("kind", IMAGES)
def test_by_registry(ends: tuple[Side, Side], kind: str) -> None:
    giver, taker = ends
    made = IMAGES[kind]()
    giver.daemon.cli.ok("load", stdin=imagefiles.archive(made, "docker.io/library/exchanged:2"))
    giver.daemon.cli.ok("tag", "exchanged:2", f"{giver.registry.address}/exchange/{kind}:1")
    giver.daemon.cli.ok("push", f"{giver.registry.address}/exchange/{kind}:1")
    pulled = f"{taker.registry.address}/exchange/{kind}:1"
    taker.daemon.cli.ok("pull", pulled)
    assert taker.identity(pulled) == imagefiles.digest(made.manifest)


def test_what_was_built_runs_on_the_other(ends: tuple[Side, Side], tmp_path: Path) -> None:
    giver, taker = ends
    built = giver.build("exchange/built:1")
    giver.daemon.cli.ok("push", built)
    pulled = f"{taker.registry.address}/exchange/built:1"
    taker.daemon.cli.ok("pull", pulled)
    assert taker.identity(pulled) == giver.identity(built)
    assert taker.daemon.cli.ok("run", "--rm", pulled, "cat", "/built") == "built"
    taker.daemon.cli.ok("rmi", pulled)
    giver.daemon.cli.ok("save", "-o", f"{tmp_path}/built.tar", built)
    taker.daemon.cli.ok("load", "-i", f"{tmp_path}/built.tar")
    assert taker.identity(built) == giver.identity(built)
    assert taker.daemon.cli.ok("run", "--rm", built, "cat", "/built") == "built"


def test_a_committed_container(ends: tuple[Side, Side], tmp_path: Path) -> None:
    giver, taker = ends
    giver.daemon.cli.ok("run", "--name", "changed", "busybox", "sh", "-c", "echo more > /more; rm /etc/passwd")
    giver.daemon.cli.ok("commit", "-c", "CMD cat /more", "changed", "exchanged:3")
    giver.daemon.cli.ok("rm", "changed")
    giver.daemon.cli.ok("save", "-o", f"{tmp_path}/commit.tar", "exchanged:3")
    taker.daemon.cli.ok("load", "-i", f"{tmp_path}/commit.tar")
    assert taker.identity("exchanged:3") == giver.identity("exchanged:3")
    assert taker.daemon.cli.ok("run", "--rm", "exchanged:3") == "more"
    assert "passwd" not in taker.daemon.cli.ok("run", "--rm", "exchanged:3", "ls", "/etc")


def test_there_and_back(ends: tuple[Side, Side], tmp_path: Path) -> None:
    """What was saved, loaded and saved again has the same blobs."""
    giver, taker = ends
    built = giver.build("exchange/back:1")
    first = giver.identity(built)
    giver.daemon.cli.ok("save", "-o", f"{tmp_path}/there.tar", built)
    taker.daemon.cli.ok("load", "-i", f"{tmp_path}/there.tar")
    taker.daemon.cli.ok("save", "-o", f"{tmp_path}/back.tar", built)
    giver.daemon.cli.ok("rmi", built)
    giver.daemon.cli.ok("load", "-i", f"{tmp_path}/back.tar")
    assert giver.identity(built) == first
