"""`--cache-to type=inline` and `--cache-from`: what an image in a registry has is not made again."""

import pytest

from compat_tests.clients.buildx import Buildx
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.registry import Registry

pytestmark = pytest.mark.usefixtures("empty_cache")


def test_an_image_of_a_registry_as_cache(buildx: Buildx, engine: Daemon, registry: Registry) -> None:
    name = f"{registry.address}/inline:1"
    buildx.write({"Dockerfile": "FROM busybox\nCOPY a /a\nRUN cat /proc/uptime > /made\n", "a": "inline"})
    buildx.ok("--cache-to", "type=inline", "-t", name)
    engine.cli.ok("push", "-q", name)
    made = engine.cli.ok("run", "--rm", name, "cat", "/made")
    engine.cli.ok("rmi", "-f", name)
    assert engine.api.request("POST", "/build/prune?all=1").status == 200
    found = buildx.ok("--cache-from", name, "-t", "again")
    assert found.of("importing cache manifest") == "DONE"
    assert engine.cli.ok("run", "--rm", "again", "cat", "/made", "/a") == f"{made}\ninline"


def test_a_cache_that_is_not_there(buildx: Buildx, registry: Registry) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo no cache\n"})
    found = buildx.ok("--cache-from", f"{registry.address}/none:1")
    assert found.of("importing cache manifest") == "ERROR"
    assert found.of("RUN") == "DONE"


def test_a_cache_of_its_own_in_a_registry(buildx: Buildx, engine: Daemon, registry: Registry) -> None:
    name = f"{registry.address}/cache:{buildx.directory.parent.name.strip('_').lower()}"
    steps = (
        "FROM busybox AS one\nRUN cat /proc/uptime > /one\nFROM busybox\nCOPY --from=one /one /\nRUN cat /one > /two\n"
    )
    buildx.write({"Dockerfile": steps})
    buildx.ok("--cache-to", f"type=registry,mode=max,ref={name}", "-t", "first")
    made = engine.cli.ok("run", "--rm", "first", "cat", "/two")
    engine.cli.ok("rmi", "-f", "first")
    assert engine.api.request("POST", "/build/prune?all=1").status == 200
    more = steps.replace("/one > /two", "/one > /two; true")
    buildx.write({"Dockerfile": more})
    buildx.ok("--cache-from", f"type=registry,ref={name}", "-t", "again")
    assert engine.cli.ok("run", "--rm", "again", "cat", "/two") == made
