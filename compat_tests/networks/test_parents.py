"""Networks on interfaces of the host: macvlan and ipvlan, VLANs and dummies below them, with packets where the kernel
has what it takes."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite

PARENT = "wctparent"


def _ip(engine: Daemon, *arguments: str) -> bool:
    argv = engine.namespaces.command(["ip", *arguments])
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


@pytest.fixture
def parent(engine: Daemon) -> Iterator[str]:
    """An interface that leads to another one of the same machine."""
    assert _ip(engine, "link", "add", PARENT, "type", "veth", "peer", "name", f"{PARENT}2")
    for name in (PARENT, f"{PARENT}2"):
        _ip(engine, "link", "set", name, "up")
    yield PARENT
    engine.wipe()
    _ip(engine, "link", "delete", PARENT)


def _require(engine: Daemon, kind: str, *arguments: str) -> None:
    """Skip the test where the kernel has no such kind of interface."""
    if not _ip(engine, "link", "add", *arguments, "name", "wctprobe", "type", kind):
        pytest.skip(f"the kernel has no {kind}")
    _ip(engine, "link", "delete", "wctprobe")


@pytest.fixture
def macvlan(engine: Daemon, parent: str) -> str:
    """The same, where the kernel has macvlan."""
    _require(engine, "macvlan", "link", parent)
    return parent


@pytest.fixture
def ipvlan(engine: Daemon, parent: str) -> str:
    """The same, where the kernel has ipvlan."""
    _require(engine, "ipvlan", "link", parent)
    return parent


def _create(api: RawHttp, driver: str, **options: str) -> tuple[int, str]:
    answer = api.post("/networks/create", {"Name": "lan", "Driver": driver, "Options": options})
    return answer.status, answer.message if answer.status != 201 else ""


@pytest.mark.parametrize(
    ("driver", "options", "message"),
    [
        (
            "macvlan",
            {"parent": PARENT, "macvlan_mode": "x"},
            "requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default",
        ),
        (
            "ipvlan",
            {"parent": PARENT, "ipvlan_mode": "x"},
            "requested ipvlan mode 'x' is not valid, 'l2' mode is the ipvlan driver default",
        ),
        (
            "ipvlan",
            {"parent": PARENT, "ipvlan_flag": "x"},
            "requested ipvlan flag 'x' is not valid, 'bridge' is the ipvlan driver default",
        ),
        ("macvlan", {"parent": "lo"}, "loopback interface is not a valid macvlan parent link"),
        ("ipvlan", {"parent": "lo"}, "loopback interface is not a valid ipvlan parent link"),
        ("macvlan", {"parent": "nope"}, "invalid subinterface vlan name nope, example formatting is eth0.10"),
        ("macvlan", {"parent": "nope.10"}, "-o parent interface was not found on the host: nope"),
        ("macvlan", {"parent": f"{PARENT}.5000"}, "vlan id must be between 1-4094, received: 5000"),
        (
            "ipvlan",
            {"parent": f"{PARENT}.x"},
            "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)",
        ),
        (
            "macvlan",
            {"parent": f"{PARENT}.1.2"},
            (
                "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, "
                f"instead received {PARENT}.1.2"
            ),
        ),
    ],
)
@pytest.mark.usefixtures("parent")
def test_what_cannot_be_made(api: RawHttp, driver: str, options: dict[str, str], message: str) -> None:
    assert _create(api, driver, **options) == (500, message)


def test_passthru_is_for_one_network(api: RawHttp, macvlan: str) -> None:
    first = api.post("/networks/create", {"Name": "one", "Driver": "macvlan", "Options": {"parent": macvlan}}).json()[
        "Id"
    ]
    assert _create(api, "macvlan", parent=macvlan, macvlan_mode="passthru") == (
        500,
        f"cannot use mode passthru, macvlan network {first} is already using parent interface {macvlan}",
    )
    api.request("DELETE", "/networks/one")
    assert _create(api, "macvlan", parent=macvlan, macvlan_mode="passthru") == (201, "")
    alone = api.get("/networks/lan")["Id"]
    answer = api.post("/networks/create", {"Name": "two", "Driver": "macvlan", "Options": {"parent": macvlan}})
    assert answer.message == f"macvlan network {alone} is already using parent interface {macvlan} in mode passthru"


@pytest.mark.parametrize("mode", ["bridge", "private", "vepa", "passthru"])
def test_macvlan(cli: DockerCli, api: RawHttp, macvlan: str, mode: str) -> None:
    options = ("-o", f"parent={macvlan}", "-o", f"macvlan_mode={mode}")
    subnets = ("--subnet", "10.215.60.0/24", "--gateway", "10.215.60.254", "--ipv6", "--subnet", "fd15:60::/64")
    cli.ok("network", "create", "-d", "macvlan", *options, *subnets, "lan")
    cli.ok("run", "-d", "--name", "one", "--network", "lan", "-p", "8080:80", "busybox", "sleep", "60")
    endpoint = api.get("/containers/one/json")["NetworkSettings"]
    found = endpoint["Networks"]["lan"]
    assert (found["IPAddress"], found["Gateway"]) == ("10.215.60.1", "10.215.60.254")
    assert (found["GlobalIPv6Address"], found["IPv6Gateway"]) == ("fd15:60::2", "fd15:60::1")
    assert endpoint["Ports"] == {}
    shown = cli.ok("exec", "one", "ip", "-o", "link", "show", "eth0")
    assert found["MacAddress"] in shown
    assert "default via 10.215.60.254 dev eth0" in cli.ok("exec", "one", "ip", "route")
    cli.ok("restart", "-t", "0", "one")
    if mode != "passthru":
        cli.ok("run", "-d", "--name", "two", "--network", "lan", "busybox", "sleep", "60")
        reached = cli.run("exec", "two", "ping", "-c", "1", "-W", "1", "one").code == 0
        assert reached is (mode == "bridge"), "only in bridge mode do they reach one another without a switch"
    listed: dict[str, Any] = api.get("/networks/lan")["Containers"]
    assert len(listed) == (1 if mode == "passthru" else 2)


def test_macvlan_beside_a_bridge(cli: DockerCli, api: RawHttp, macvlan: str) -> None:
    cli.ok("network", "create", "-d", "macvlan", "-o", f"parent={macvlan}", "--subnet", "10.215.61.0/24", "lan")
    cli.ok("network", "create", "--subnet", "10.215.62.0/24", "front")
    cli.ok("run", "-d", "--name", "web", "--network", "lan", "-p", "127.0.0.1::80", "busybox", "sleep", "60")
    cli.ok("network", "connect", "front", "web")
    routes = cli.ok("exec", "web", "ip", "route")
    assert "default via 10.215.62.1" in routes, "by name"
    assert api.get("/containers/web/json")["NetworkSettings"]["Ports"]["80/tcp"]
    cli.ok("network", "disconnect", "front", "web")
    assert "default via 10.215.61.1" in cli.ok("exec", "web", "ip", "route")
    cli.ok("network", "connect", "front", "web")
    cli.ok("network", "disconnect", "lan", "web")
    assert cli.ok("exec", "web", "ip", "-o", "link").count("@") == 1


def test_a_host_may_have_interfaces_of_the_same_names(suite: Suite) -> None:
    with suite.running(network="private") as daemon:
        assert _ip(daemon, "link", "show", "eth0")
        _require(daemon, "macvlan", "link", "eth0")
        daemon.cli.ok("network", "create", "-d", "macvlan", "-o", "parent=eth0", "--subnet", "10.215.66.0/24", "lan")
        shown = daemon.cli.ok("run", "--rm", "--network", "lan", "busybox", "ip", "-o", "addr", "show", "eth0")
        assert "10.215.66.2/24" in shown
        daemon.cli.ok("run", "-d", "--name", "one", "busybox", "sleep", "60")
        daemon.cli.ok("network", "connect", "lan", "one")
        assert "10.215.66.2/24" in daemon.cli.ok("exec", "one", "ip", "-o", "addr", "show", "eth1")


def test_ipvlan_is_made_and_its_kind_is_named_where_the_kernel_has_none(
    cli: DockerCli, api: RawHttp, parent: str
) -> None:
    for mode in ("l2", "l3", "l3s"):
        assert _create(api, "ipvlan", parent=parent, ipvlan_mode=mode) == (201, "")
        (pool,) = api.get("/networks/lan")["IPAM"]["Config"]
        assert ("Gateway" in pool) is (mode == "l2")
        result = cli.run("run", "--rm", "--network", "lan", "busybox", "ip", "route")
        if result.code == 0:
            assert "default " in result.out
        else:
            assert "failed to create the ipvlan port: operation not supported" in result.err
        cli.ok("network", "rm", "lan")


@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_ipvlan(cli: DockerCli, api: RawHttp, ipvlan: str, mode: str) -> None:
    options = ("-o", f"parent={ipvlan}", "-o", f"ipvlan_mode={mode}")
    cli.ok("network", "create", "-d", "ipvlan", *options, "--subnet", "10.215.63.0/24", "lan")
    cli.ok("run", "-d", "--name", "one", "--network", "lan", "busybox", "sleep", "60")
    cli.ok("run", "-d", "--name", "two", "--network", "lan", "busybox", "sleep", "60")
    found = api.get("/containers/two/json")["NetworkSettings"]["Networks"]["lan"]
    shown = cli.ok("exec", "two", "ip", "route")
    if mode == "l2":
        assert (found["IPAddress"], found["Gateway"]) == ("10.215.63.3", "10.215.63.1")
        assert "default via 10.215.63.1 dev eth0" in shown
    else:
        assert found["Gateway"] == ""
        assert "default dev eth0" in shown
    eventually(lambda: cli.run("exec", "two", "ping", "-c", "1", "-W", "1", "one").code == 0)
    cli.ok("restart", "-t", "0", "one")
    eventually(lambda: cli.run("exec", "two", "ping", "-c", "1", "-W", "1", "one").code == 0)


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_a_vlan_is_made_for_its_network(
    engine: Daemon, cli: DockerCli, request: pytest.FixtureRequest, driver: str
) -> None:
    parent: str = request.getfixturevalue(driver)
    if not _ip(engine, "link", "add", "link", parent, "name", "wctprobe", "type", "vlan", "id", "7"):
        pytest.skip("the kernel has no vlan")
    _ip(engine, "link", "delete", "wctprobe")
    vlan = f"{parent}.10"
    cli.ok("network", "create", "-d", driver, "-o", f"parent={vlan}", "--subnet", "10.215.64.0/24", "lan")
    assert _ip(engine, "link", "show", vlan)
    cli.ok("run", "-d", "--name", "one", "--network", "lan", "busybox", "sleep", "60")
    eventually(lambda: cli.run("run", "--rm", "--network", "lan", "busybox", "ping", "-c1", "-W1", "one").code == 0)
    cli.ok("rm", "-f", "one")
    cli.ok("network", "rm", "lan")
    assert not _ip(engine, "link", "show", vlan)


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_a_network_without_a_parent_has_a_dummy(
    engine: Daemon, cli: DockerCli, request: pytest.FixtureRequest, driver: str
) -> None:
    request.getfixturevalue(driver)
    _require(engine, "dummy")
    made = cli.ok("network", "create", "-d", driver, "--internal", "--subnet", "10.215.65.0/24", "lan")
    dummy = f"{'dm' if driver == 'macvlan' else 'di'}-{made[:12]}"
    assert _ip(engine, "link", "show", dummy)
    cli.ok("run", "-d", "--name", "one", "--network", "lan", "busybox", "sleep", "60")
    assert "default" not in cli.ok("exec", "one", "ip", "route")
    eventually(lambda: cli.run("run", "--rm", "--network", "lan", "busybox", "ping", "-c1", "-W1", "one").code == 0)
    cli.ok("rm", "-f", "one")
    cli.ok("network", "rm", "lan")
    assert not _ip(engine, "link", "show", dummy)
