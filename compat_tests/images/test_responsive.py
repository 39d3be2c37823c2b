"""Whatever happens to images, the daemon answers others at once."""

import random
import secrets
from collections.abc import Callable

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Layer, file, tar
from compat_tests.clients.pings import pings
from compat_tests.clients.registry import Registry
from compat_tests.images.conftest import remove_images

MILLISECONDS = 20
_ATTEMPTS = 4
_SOURCE = random.Random(5)
LARGE = Layer(tar([file(f"large{n}", _SOURCE.randbytes(8_000_000) + bytes(8_000_000)) for n in range(2)]))
SMALL = Layer(tar([file(f"small/{n}", _SOURCE.randbytes(500) + bytes(500)) for n in range(2000)]))
IMAGE = imagefiles.derived(LARGE, SMALL)


NAME = "responsive:1"
ARCHIVE = imagefiles.archive(IMAGE, f"docker.io/library/{NAME}")


@pytest.fixture(scope="module", autouse=True)
def pushed(registry: Registry) -> None:
    registry.push(IMAGE, "responsive", "1")


def pull(daemon: Daemon, registry: Registry) -> None:
    daemon.cli.ok("pull", "-q", f"{registry.address}/responsive:1", timeout=90)


def load(daemon: Daemon, registry: Registry) -> None:
    daemon.cli.ok("load", "-q", stdin=ARCHIVE, timeout=90)


def save(daemon: Daemon, registry: Registry) -> None:
    assert len(daemon.api.request("GET", f"/images/{NAME}/get").body) > 16_000_000


def push(daemon: Daemon, registry: Registry) -> None:
    name = f"{registry.address}/{secrets.token_hex(4)}/responsive:1"
    daemon.cli.ok("tag", NAME, name)
    daemon.cli.ok("push", "-q", name, timeout=90)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("act", [pull, load, save, push], ids=lambda act: act.__name__)
def test_others_are_answered(engine: Daemon, registry: Registry, act: Callable[[Daemon, Registry], None]) -> None:
    """What makes it slow does so each time; what a busy machine does (a page that must be read from its disk) does not."""
    seen = []
    for _ in range(_ATTEMPTS):
        remove_images(engine)
        if act is not pull and act is not load:
            load(engine, registry)
        with pings(engine) as answers:
            act(engine, registry)
        assert answers
        seen.append(max(answers))
        if seen[-1] <= MILLISECONDS:
            return
    pytest.fail(f"the slowest answers to /_ping during {act.__name__}: {seen} ms")
