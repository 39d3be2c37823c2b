"""`docker run`: published ports, network modes, name files."""

import os
import re
import socket
import urllib.request

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.namespaces import call_in_network
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually


@pytest.mark.parametrize("spec", ["127.0.0.1::80", "0.0.0.0:0:80", "80"])
def test_published_port(cli: DockerCli, engine: Daemon, spec: str) -> None:
    cli.ok(
        "run",
        "-d",
        "--name",
        "web",
        "-p",
        spec,
        "busybox",
        "sh",
        "-c",
        "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp",
    )
    port = cli.ok("port", "web", "80/tcp").splitlines()[0].rpartition(":")[2]

    def fetch() -> bytes:
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            return bytes(engine.namespaces.call(lambda: opener.open(f"http://127.0.0.1:{port}/", timeout=5).read()))
        except OSError as error:
            raise AssertionError(str(error)) from error

    assert eventually(fetch) == b"hello\n"
    assert f":{port}->80/tcp" in cli.ok("ps", "--format", "{{.Ports}}")


def test_published_udp_port_and_range(cli: DockerCli, api: RawHttp, engine: Daemon) -> None:
    cli.ok(
        "run",
        "-d",
        "--name",
        "web",
        "-p",
        "127.0.0.1:34560-34562:7000-7002",
        "-p",
        "127.0.0.1::53/udp",
        "busybox",
        "sleep",
        "60",
    )
    lines = cli.ok("port", "web").splitlines()
    assert {"7000/tcp -> 127.0.0.1:34560", "7001/tcp -> 127.0.0.1:34561", "7002/tcp -> 127.0.0.1:34562"} <= set(lines)
    port = int(next(line for line in lines if line.startswith("53/udp")).rpartition(":")[2])
    pid = api.get("/containers/web/json")["State"]["Pid"]
    with call_in_network(pid, _udp_socket) as inside, engine.namespaces.call(_udp_socket) as outside:
        inside.bind(("0.0.0.0", 53))
        outside.sendto(b"marco", ("127.0.0.1", port))
        question, sender = inside.recvfrom(100)
        inside.sendto(question + b" polo", sender)
        assert outside.recvfrom(100) == (b"marco polo", ("127.0.0.1", port))


def _udp_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(5)
    return sock


def test_port_that_is_taken(cli: DockerCli) -> None:
    cli.ok("run", "-d", "--name", "one", "-p", "127.0.0.1:34570:80", "busybox", "sleep", "60")
    result = cli.run("run", "-d", "--name", "two", "-p", "127.0.0.1:34570:80", "busybox", "sleep", "60")
    assert result.code == 125
    assert "Bind for 127.0.0.1:34570 failed: port is already allocated" in result.err
    assert cli.ok("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines() == ["two created", "one running"]


def test_port_that_another_process_holds(cli: DockerCli, engine: Daemon) -> None:
    with engine.namespaces.call(lambda: socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        result = cli.run("run", "-d", "-p", f"127.0.0.1:{port}:80", "busybox", "sleep", "60")
    assert result.code == 125
    assert "address already in use" in result.err


def test_network_none(cli: DockerCli) -> None:
    assert cli.ok("run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net") == "lo"


def test_network_host(cli: DockerCli, engine: Daemon) -> None:
    inside = cli.ok("run", "--rm", "--network", "host", "busybox", "readlink", "/proc/self/ns/net")
    assert inside == os.readlink(f"/proc/{engine.pid}/ns/net")
    assert cli.ok("run", "--rm", "--network", "host", "busybox", "hostname") == os.uname().nodename


def test_network_of_another_container(cli: DockerCli) -> None:
    cli.ok("run", "-d", "--name", "one", "-h", "first", "busybox", "sleep", "60")
    inside = cli.ok(
        "run",
        "--rm",
        "--network",
        "container:one",
        "busybox",
        "sh",
        "-c",
        "readlink /proc/self/ns/net; hostname; cat /etc/hostname",
    )
    assert inside.splitlines()[0] == cli.ok("exec", "one", "readlink", "/proc/self/ns/net")
    assert inside.splitlines()[1:] == ["first", "first"]


def test_default_network(cli: DockerCli, engine: Daemon) -> None:
    prefix = engine.options.bip.rpartition(".")[0]
    out = cli.ok(
        "run", "--rm", "busybox", "sh", "-c", "ip -4 addr show eth0 | grep -o 'inet [0-9.]*'; ip route | grep default"
    )
    assert re.fullmatch(rf"inet {prefix}\.\d+\ndefault via {prefix}\.1 dev eth0", out)


def test_containers_reach_each_other(cli: DockerCli) -> None:
    cli.ok("run", "-d", "--name", "server", "busybox", "sh", "-c", "while :; do echo pong | nc -l -p 5000; done")
    address = cli.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "server")
    assert eventually(lambda: cli.run("run", "--rm", "busybox", "nc", "-w", "2", address, "5000").out == "pong\n")


def test_hosts_hostname_and_resolver_files(cli: DockerCli) -> None:
    out = cli.ok(
        "run", "--rm", "-h", "box", "--add-host", "db:10.9.8.7", "--dns", "9.9.9.9", "--dns-search", "corp.example", "--dns-opt", "ndots:3",
        "busybox", "cat", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf",
    )  # fmt: skip
    assert "127.0.0.1\tlocalhost" in out
    assert "10.9.8.7\tdb" in out
    assert re.search(r"^10\.\d+\.\d+\.\d+\tbox$", out, re.MULTILINE)
    assert "\nbox\n" in out
    assert "nameserver 9.9.9.9\nsearch corp.example\noptions ndots:3" in out
