"""Packets really flow where they are to, and nowhere else; names are found."""

import re
import socket
import time

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually

SERVE = "while true; do echo hello | nc -l -p 80; done"


def _serve(cli: DockerCli, *arguments: str) -> None:
    cli.ok("run", "-d", *arguments, "busybox", "sh", "-c", SERVE)


def _fetched(cli: DockerCli, container: str, host: str, port: int = 80) -> bool:
    return cli.run("exec", container, "sh", "-c", f"nc -w 2 {host} {port} </dev/null").out == "hello\n"


def _read(address: str, port: int) -> bytes:
    with socket.create_connection((address, port), 3) as connection:
        connection.settimeout(3)
        return connection.recv(100)


def _reaches(engine: Daemon, address: str, port: int) -> bool:
    def attempt() -> bool:
        try:
            return _read(address, port) == b"hello\n"
        except OSError:
            return False

    return engine.namespaces.call(attempt)


def test_containers_of_one_network_find_each_other_by_name(cli: DockerCli) -> None:
    cli.ok("network", "create", "front")
    _serve(cli, "--name", "web", "--network", "front", "--network-alias", "site")
    cli.ok("run", "-d", "--name", "user", "--network", "front", "busybox", "sleep", "60")
    for name in ("web", "site", "web.front", cli.ok("inspect", "-f", "{{slice .Id 0 12}}", "web")):
        eventually(lambda name=name: _fetched(cli, "user", name))
    assert cli.ok("exec", "user", "cat", "/etc/resolv.conf").splitlines()[4] == "nameserver 127.0.0.11"
    answer = cli.ok(
        "exec", "user", "nslookup", cli.ok("inspect", "-f", "{{.NetworkSettings.Networks.front.IPAddress}}", "web")
    )
    assert "name = web.front" in answer


def test_other_networks_are_out_of_reach(cli: DockerCli) -> None:
    cli.ok("network", "create", "front")
    cli.ok("network", "create", "back")
    _serve(cli, "--name", "web", "--network", "front")
    address = cli.ok("inspect", "-f", "{{.NetworkSettings.Networks.front.IPAddress}}", "web")
    cli.ok("run", "-d", "--name", "user", "--network", "front", "busybox", "sleep", "60")
    cli.ok("run", "-d", "--name", "stranger", "--network", "back", "busybox", "sleep", "60")
    eventually(lambda: _fetched(cli, "user", address))
    assert not _fetched(cli, "stranger", address)
    assert cli.run("exec", "stranger", "nslookup", "web").code != 0


def test_a_renamed_container_is_found(cli: DockerCli) -> None:
    cli.ok("network", "create", "front")
    _serve(cli, "--name", "web", "--network", "front")
    cli.ok("run", "-d", "--name", "user", "--network", "front", "busybox", "sleep", "60")
    cli.ok("rename", "web", "site")
    eventually(lambda: _fetched(cli, "user", "site"))


def test_an_internal_network_has_no_way_out(cli: DockerCli) -> None:
    cli.ok("network", "create", "--internal", "inside")
    assert "default" not in cli.ok("run", "--rm", "--network", "inside", "busybox", "ip", "route")


def test_published_ports(cli: DockerCli, engine: Daemon) -> None:
    _serve(cli, "--name", "web", "-p", "127.0.0.1::80")
    address, port = cli.ok("port", "web", "80").rsplit(":", 1)
    assert address == "127.0.0.1"
    eventually(lambda: _reaches(engine, "127.0.0.1", int(port)))
    own = cli.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge")
    assert not _reaches(engine, own, int(port))


@pytest.mark.wharfd_only("dockerd forgets the ports of a network that is left")
def test_a_published_port_follows_when_its_network_goes(cli: DockerCli, engine: Daemon) -> None:
    cli.ok("network", "create", "front")
    cli.ok("network", "create", "back")
    _serve(cli, "--name", "web", "--network", "back", "-p", "127.0.0.1::80")
    port = int(cli.ok("port", "web", "80").rsplit(":", 1)[1])
    cli.ok("network", "connect", "front", "web")
    cli.ok("network", "disconnect", "back", "web")
    eventually(lambda: _reaches(engine, "127.0.0.1", port))


def test_a_container_reaches_what_its_host_publishes(cli: DockerCli) -> None:
    _serve(cli, "--name", "web", "-p", "80")
    port = int(cli.ok("port", "web", "80").splitlines()[0].rsplit(":", 1)[1])
    gateway = cli.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web")
    cli.ok("run", "-d", "--name", "user", "busybox", "sleep", "60")
    eventually(lambda: _fetched(cli, "user", gateway, port))
    eventually(lambda: _fetched(cli, "web", gateway, port))


def test_a_taken_port_is_refused_in_dockerds_words(cli: DockerCli) -> None:
    _serve(cli, "--name", "web", "-p", "127.0.0.1::80")
    port = cli.ok("port", "web", "80").rsplit(":", 1)[1]
    message = cli.fails("run", "--rm", "-p", f"127.0.0.1:{port}:80", "busybox", "true")
    assert re.search(
        r"driver failed programming external connectivity on endpoint \w+ \([0-9a-f]{64}\): "
        rf"Bind for 127.0.0.1:{port} failed: port is already allocated",
        message,
    )


def test_many_ports(cli: DockerCli, engine: Daemon) -> None:
    started = time.monotonic()
    _serve(cli, "--name", "web", "-p", "127.0.0.1:23000-23099:80-179")
    assert time.monotonic() - started < 30
    eventually(lambda: _reaches(engine, "127.0.0.1", 23000))


@pytest.mark.wharfd_only("dockerd's containers end with it unless it is told otherwise")
def test_a_killed_daemon_leaves_packets_and_names_working(cli: DockerCli, api: RawHttp, engine: Daemon) -> None:
    cli.ok("network", "create", "front")
    _serve(cli, "--name", "web", "--network", "front", "-p", "127.0.0.1::80")
    cli.ok("run", "-d", "--name", "user", "--network", "front", "busybox", "sleep", "60")
    port = int(cli.ok("port", "web", "80").rsplit(":", 1)[1])
    before = api.get("/containers/web/json")["NetworkSettings"]
    engine.kill()
    eventually(lambda: _reaches(engine, "127.0.0.1", port))
    engine.start()
    assert api.get("/containers/web/json")["NetworkSettings"] == before
    eventually(lambda: _reaches(engine, "127.0.0.1", port))
    eventually(lambda: _fetched(cli, "user", "web"))
    assert "already allocated" in cli.fails("run", "--rm", "-p", f"127.0.0.1:{port}:80", "busybox", "true")
