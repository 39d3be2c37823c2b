"""`--icc=false`: containers of the default bridge do not reach one another, but where one links to another."""

from collections.abc import Iterator

import pytest

from compat_tests.clients.daemon import Daemon
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite

SERVE = "while true; do echo hello | nc -l -p 5432; done & while true; do echo hello | nc -l -p 5433; done"


@pytest.fixture(scope="module", params=["nftables", "iptables"])
def apart(request: pytest.FixtureRequest, suite: Suite) -> Iterator[Daemon]:
    """A daemon whose containers are kept apart, by each backend."""
    backend = ("--firewall-backend", request.param) if suite.kind == "wharfd" else ()
    if suite.kind == "dockerd" and request.param == "nftables":
        pytest.skip("dockerd 28 has one backend")
    with suite.killable("--icc=false", "--live-restore", *backend, network="private") as daemon:
        yield daemon


@pytest.fixture
def database(apart: Daemon) -> Iterator[str]:
    """The address of a container that exposes 5432, and listens on 5433, too."""
    apart.cli.ok("run", "-d", "--name", "db", "--expose", "5432", "busybox", "sh", "-c", SERVE)
    yield address(apart, "db")
    apart.wipe()


def address(daemon: Daemon, name: str) -> str:
    return str(daemon.api.get(f"/containers/{name}/json")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])


def idle(daemon: Daemon, name: str, *flags: str) -> None:
    daemon.cli.ok("run", "-d", "--name", name, *flags, "busybox", "sleep", "600")


def reaches(daemon: Daemon, name: str, host: str, port: int) -> bool:
    return daemon.cli.run("exec", name, "nc", "-w", "1", host, str(port)).out == "hello\n"


def test_a_link_opens_what_is_exposed(apart: Daemon, database: str) -> None:
    idle(apart, "web", "--link", "db")
    idle(apart, "other")
    eventually(lambda: reaches(apart, "web", "db", 5432))
    assert not reaches(apart, "web", "db", 5433)
    assert not reaches(apart, "other", database, 5432)
    assert apart.cli.run("exec", "other", "ping", "-c", "1", "-W", "1", database).code != 0
    assert apart.cli.run("exec", "db", "ping", "-c", "1", "-W", "1", address(apart, "web")).code != 0


def test_a_link_follows_its_target(apart: Daemon, database: str) -> None:
    idle(apart, "web", "--link", "db:data")
    eventually(lambda: reaches(apart, "web", "data", 5432))
    apart.cli.ok("restart", "-t", "0", "db")


def test_a_link_ends_with_its_parent(apart: Daemon, database: str) -> None:
    idle(apart, "web", "--link", "db")
    eventually(lambda: reaches(apart, "web", "db", 5432))
    former = address(apart, "web")
    apart.cli.ok("rm", "-f", "web")
    idle(apart, "next")
    assert address(apart, "next") == former
    assert not reaches(apart, "next", address(apart, "db"), 5432)


@pytest.mark.wharfd_only("dockerd forgets the links of what runs on")
def test_links_after_a_restart_of_the_daemon(apart: Daemon, database: str) -> None:
    idle(apart, "web", "--link", "db")
    idle(apart, "other")
    eventually(lambda: reaches(apart, "web", "db", 5432))
    apart.restart()
    eventually(lambda: reaches(apart, "web", "db", 5432))
    assert not reaches(apart, "web", "db", 5433)
    assert not reaches(apart, "other", database, 5432)
    apart.cli.ok("rm", "-f", "web")
    idle(apart, "next")
    assert not reaches(apart, "next", database, 5432)
