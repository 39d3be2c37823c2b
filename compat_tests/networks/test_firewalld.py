"""Beside a real firewalld: packets pass and are kept out as without it, whenever it is reloaded, started or ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.clients import outside
from compat_tests.clients.firewalld import Firewalld
from compat_tests.clients.namespaces import PrivateNamespaces
from compat_tests.clients.outside import Outside
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite, finish, load_busybox
from compat_tests.networks.site import Site, seen_outside

SOON = 0.3


@pytest.fixture(params=["nftables", "iptables"])
def guarded(
    request: pytest.FixtureRequest, suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Site, Firewalld]]:
    """An engine that started beside a running firewalld."""
    if suite.kind == "dockerd" and request.param == "nftables":
        pytest.skip("dockerd 28 has iptables alone")
    arguments = ("--firewall-backend", request.param) if suite.kind == "wharfd" else ()
    daemon = suite.daemon(*arguments, network="private")
    assert isinstance(daemon.namespaces, PrivateNamespaces)
    other, firewalld = Outside(daemon.namespaces), Firewalld(daemon.namespaces, tmp_path)
    for name, value in firewalld.environment.items():
        monkeypatch.setenv(name, value)
    try:
        firewalld.start()
        daemon.start()
        load_busybox(daemon)
        yield Site(daemon, other), firewalld
        daemon.wipe()
    finally:
        finish(daemon)
        firewalld.close()
        other.close()


def _furnish(site: Site) -> None:
    for name in ("front", "back"):
        site.cli.ok("network", "create", name)
    site.serve("--network", "front", "-p", "8080:80")
    site.cli.ok("run", "-d", "--name", "user", "--network", "back", "busybox", "sleep", "600")


def _require_passage(site: Site) -> None:
    """What is published is reached, containers go out, and networks are apart."""
    eventually(lambda: site.there(outside.HOST, 8080) == outside.OWN, timeout=20)
    eventually(lambda: site.inside("user", site.address("web", "front"), timeout=SOON) == "")
    eventually(lambda: _goes_out(site), timeout=20)


def _goes_out(site: Site) -> bool:
    try:
        return seen_outside(site, "user", outside.OWN) == outside.HOST
    except TimeoutError:
        return False


def _in_the_zone(firewalld: Firewalld) -> set[str]:
    return set(firewalld.command("--zone=docker", "--list-interfaces").stdout.split())


def test_it_lets_containers_be(guarded: tuple[Site, Firewalld]) -> None:
    site, firewalld = guarded
    _furnish(site)
    _require_passage(site)
    bridges = {f"br-{site.cli.ok('network', 'inspect', '-f', '{{.Id}}', name)[:12]}" for name in ("front", "back")}
    eventually(lambda: bridges <= _in_the_zone(firewalld))
    for _ in range(2):
        assert firewalld.command("--reload").returncode == 0
        _require_passage(site)
    site.cli.ok("rm", "-f", "web", "user")
    for name in ("front", "back"):
        site.cli.ok("network", "rm", name)
    eventually(lambda: not bridges & _in_the_zone(firewalld))


@pytest.mark.wharfd_only("dockerd's containers are cut off when firewalld is started again")
def test_it_comes_and_goes(guarded: tuple[Site, Firewalld]) -> None:
    site, firewalld = guarded
    _furnish(site)
    firewalld.stop()
    _require_passage(site)
    firewalld.start()
    _require_passage(site)
