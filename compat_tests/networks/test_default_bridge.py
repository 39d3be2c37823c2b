"""The settings of the daemon that make the default bridge, and those that other networks take after."""

import json
from collections.abc import Iterator

import pytest

from compat_tests.clients.daemon import Daemon
from compat_tests.conftest import Suite, finish, load_busybox

BRIDGE = "com.docker.network.bridge"
ARGUMENTS = (
    *("--ipv6", "--bip6", "fd77::1/64", "--fixed-cidr-v6", "fd77::/80", "--default-gateway-v6", "fd77::99"),
    *("--ip", "127.0.0.1", "--icc=false", "--ip-masq=false", "--mtu", "1400"),
    *("--default-network-opt", "bridge=com.docker.network.driver.mtu=1234"),
    *("--default-network-opt", f"bridge={BRIDGE}.enable_icc=false"),
)


@pytest.fixture(scope="module")
def tuned(suite: Suite) -> Iterator[Daemon]:
    daemon = suite.daemon(*ARGUMENTS, network="private")
    base = daemon.options.bip.rpartition(".")[0]
    extra = ("--fixed-cidr", f"{base}.128/25", "--default-gateway", f"{base}.99")
    object.__setattr__(daemon.options, "arguments", (*daemon.options.arguments, *extra))
    try:
        daemon.start()
        load_busybox(daemon)
        yield daemon
        daemon.wipe()
    finally:
        finish(daemon)


def test_what_the_bridge_says_of_itself(tuned: Daemon) -> None:
    base = tuned.options.bip.rpartition(".")[0]
    network = tuned.api.get("/networks/bridge")
    assert network["EnableIPv6"] is True
    assert network["IPAM"]["Config"] == [
        {
            "Subnet": f"{base}.0/24",
            "IPRange": f"{base}.128/25",
            "Gateway": f"{base}.1",
            "AuxiliaryAddresses": {"DefaultGatewayIPv4": f"{base}.99"},
        },
        {
            "Subnet": "fd77::/64",
            "IPRange": "fd77::/80",
            "Gateway": "fd77::1",
            "AuxiliaryAddresses": {"DefaultGatewayIPv6": "fd77::99"},
        },
    ]
    options = network["Options"]
    assert options[f"{BRIDGE}.host_binding_ipv4"] == "127.0.0.1"
    assert options["com.docker.network.driver.mtu"] == "1400"
    assert (options[f"{BRIDGE}.enable_icc"], options[f"{BRIDGE}.enable_ip_masquerade"]) == ("false", "false")


def test_what_its_containers_get(tuned: Daemon) -> None:
    base = tuned.options.bip.rpartition(".")[0]
    tuned.cli.ok("run", "-d", "--name", "web", "-p", "80", "busybox", "sleep", "600")
    found = tuned.api.get("/containers/web/json")["NetworkSettings"]
    assert [b["HostIp"] for b in found["Ports"]["80/tcp"]] == ["127.0.0.1"]
    assert found["IPAddress"] == f"{base}.128"
    shown = tuned.cli.ok("exec", "web", "sh", "-c", "ip route; ip -6 route; ip link show eth0")
    assert f"default via {base}.99 dev eth0" in shown
    assert "default via fd77::99 dev eth0" in shown
    assert "mtu 1400" in shown
    tuned.cli.ok("run", "-d", "--name", "user", "busybox", "sleep", "600")
    assert tuned.cli.run("exec", "user", "ping", "-c", "1", "-W", "1", f"{base}.128").code != 0, "icc"


def test_what_other_networks_take_after(tuned: Daemon) -> None:
    tuned.cli.ok("network", "create", "-o", "com.docker.network.driver.mtu=1300", "front")
    options = json.loads(tuned.cli.ok("network", "inspect", "-f", "{{json .Options}}", "front"))
    assert options == {f"{BRIDGE}.enable_icc": "false", "com.docker.network.driver.mtu": "1300"}
    tuned.cli.ok("run", "-d", "--name", "site", "--network", "front", "-p", "80", "busybox", "sleep", "600")
    ports = tuned.api.get("/containers/site/json")["NetworkSettings"]["Ports"]
    assert [b["HostIp"] for b in ports["80/tcp"]] == ["0.0.0.0", "::"], "the address is the default bridge's alone"


def test_it_is_the_same_after_a_restart(tuned: Daemon) -> None:
    before = tuned.api.get("/networks/bridge")
    tuned.wipe()
    tuned.restart()
    after = tuned.api.get("/networks/bridge")
    assert after["IPAM"] == before["IPAM"]
    assert after["Options"] == before["Options"]
