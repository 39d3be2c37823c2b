"""Pushes that end in the middle: the client goes away, the daemon is killed. The next one works, and nothing stays behind."""

import secrets
from collections.abc import Iterator

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Layer, file, tar
from compat_tests.clients.rawhttp import Stream
from compat_tests.clients.registry import Registry
from compat_tests.clients.valve import Valve
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite

# More than sockets hold, so that a push cannot be over while the valve is shut.
LAYERS = [Layer(tar([file(f"given-up{number}", imagefiles.noise(16_000_000))]), "none") for number in range(2)]
IMAGE = imagefiles.derived(*LAYERS)
ARCHIVE = imagefiles.archive(IMAGE, "docker.io/library/given-up:1")


@pytest.fixture
def valve(engine: Daemon, registry: Registry) -> Iterator[Valve]:
    made = Valve(engine.namespaces, registry.address)
    yield made
    made.close()


def begun(daemon: Daemon, valve: Valve) -> tuple[str, Stream]:
    """A push that hangs in the middle of its layers: the image's name there, and the client's end."""
    daemon.cli.ok("load", "-q", stdin=ARCHIVE)
    name = f"{valve.address}/given-up/{secrets.token_hex(4)}"
    daemon.cli.ok("tag", "given-up:1", f"{name}:1")
    valve.limit = 300_000
    stream = daemon.api.stream("POST", f"/images/{name}/push?tag=1", headers={"X-Registry-Auth": "e30="})
    stream.read()
    eventually(lambda: valve.held > 0, 30, "an upload under way")
    return f"{name}:1", stream


def ended(valve: Valve) -> None:
    """Nobody pushes any more."""
    valve.drained.set()
    eventually(lambda: valve.held == 0, 30, "no upload under way")


def pushed(daemon: Daemon, valve: Valve, name: str) -> None:
    """A second push brings everything there."""
    valve.limit = None
    daemon.cli.ok("push", "-q", name)
    daemon.cli.ok("rmi", name, "given-up:1")
    daemon.cli.ok("pull", "-q", name)
    assert daemon.cli.ok("inspect", "-f", "{{.Id}}", name) == imagefiles.digest(IMAGE.manifest)
    daemon.cli.ok("rmi", name)


def test_the_client_leaves(engine: Daemon, valve: Valve) -> None:
    name, stream = begun(engine, valve)
    stream.close()
    ended(valve)
    pushed(engine, valve, name)


def test_an_image_can_go_when_its_push_is_given_up(engine: Daemon, valve: Valve) -> None:
    name, stream = begun(engine, valve)
    engine.cli.ok("rmi", name, "given-up:1")
    stream.close()
    ended(valve)
    engine.cli.ok("load", "-q", stdin=ARCHIVE)
    engine.cli.ok("tag", "given-up:1", name)
    pushed(engine, valve, name)


def test_the_daemon_is_killed(suite: Suite, registry: Registry) -> None:
    with suite.used() as daemon:
        own = Registry(daemon.namespaces, suite.scratch / "given-up") if daemon.namespaces.private else registry
        valve = Valve(daemon.namespaces, own.address)
        try:
            name, stream = begun(daemon, valve)
            daemon.kill()
            stream.close()
            ended(valve)
            daemon.start()
            pushed(daemon, valve, name)
        finally:
            valve.close()
            if own is not registry:
                own.close()
