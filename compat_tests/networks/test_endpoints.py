"""What one endpoint can ask for: addresses, interface names, kernel settings, which one is the way out."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp

IFNAME = "driver-opt=com.docker.network.endpoint.ifname"
SYSCTLS = "driver-opt=com.docker.network.endpoint.sysctls"


@pytest.fixture
def front(cli: DockerCli) -> str:
    cli.ok("network", "create", "--subnet", "10.215.70.0/24", "front")
    return "front"


def test_link_local_addresses(cli: DockerCli, front: str) -> None:
    options = ("--network", front, "--ip", "10.215.70.77", "--link-local-ip", "169.254.3.4")
    shown = cli.ok("run", "--rm", *options, "busybox", "ip", "-o", "addr", "show", "eth0")
    assert "inet 10.215.70.77/24" in shown
    assert "inet 169.254.3.4/16" in shown


def test_an_ipv6_address_on_a_network_without_it_is_passed_over(
    api: RawHttp, start: Callable[..., str], front: str
) -> None:
    asked = {"EndpointsConfig": {front: {"IPAMConfig": {"IPv6Address": "2001:db8::5"}}}}
    subnets = {"Config": [{"Subnet": "2001:db8::/64"}]}
    api.post("/networks/create", {"Name": "six", "IPAM": subnets})
    asked = {"EndpointsConfig": {"six": {"IPAMConfig": {"IPv6Address": "2001:db8::5"}}}}
    container = start("sleep", "60", HostConfig={"NetworkMode": "six"}, NetworkingConfig=asked)
    found = api.get(f"/containers/{container}/json")["NetworkSettings"]["Networks"]["six"]
    assert found["IPAMConfig"] == {"IPv6Address": "2001:db8::5"}
    assert found["GlobalIPv6Address"] == ""


def test_interfaces_are_named(cli: DockerCli, front: str) -> None:
    cli.ok("network", "create", "-o", "com.docker.network.container_iface_prefix=net", "back")
    named = f"name={front},{IFNAME}=lan7"
    links = cli.ok("run", "--rm", "--network", named, "--network", "back", "busybox", "ls", "/sys/class/net")
    assert sorted(links.split()) == ["lan7", "lo", "net0"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a/b", "invalid argument"), ("a" * 16, "numerical result out of range"), ("lo", "file exists")],
)
def test_names_that_the_kernel_does_not_take(cli: DockerCli, front: str, name: str, reason: str) -> None:
    message = cli.fails("run", "--rm", "--network", f"name={front},{IFNAME}={name}", "busybox", "true")
    assert f'to "{name}": {reason}' in message
    assert "failed to set up container networking: failed to add interface veth" in message


def test_kernel_settings_of_an_interface(cli: DockerCli, front: str) -> None:
    asked = f'"{SYSCTLS}=net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=2"'
    files = ("/proc/sys/net/ipv4/conf/eth0/log_martians", "/proc/sys/net/ipv6/conf/eth0/accept_ra")
    assert cli.ok("run", "--rm", "--network", f"name={front},{asked}", "busybox", "cat", *files) == "1\n2"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "net.ipv4.conf.eth0.log_martians=1",
            (
                "invalid config for network front: invalid endpoint settings:\n"
                "unrecognised network interface sysctl 'net.ipv4.conf.eth0.log_martians=1'; represent "
                "'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            ),
        ),
        ("net.ipv4.conf.IFNAME.nope=1", "to sandbox: /proc/sys/net/ipv4/conf/eth0/nope is not a sysctl file"),
        (
            "net.ipv4.conf.IFNAME.log_martians=x",
            (
                "unable to write to '/proc/sys/net/ipv4/conf/eth0/log_martians': "
                "write /proc/sys/net/ipv4/conf/eth0/log_martians: invalid argument"
            ),
        ),
    ],
)
def test_kernel_settings_that_cannot_be_had(cli: DockerCli, front: str, setting: str, message: str) -> None:
    assert message in cli.fails("run", "--rm", "--network", f'name={front},"{SYSCTLS}={setting}"', "busybox", "true")


@pytest.mark.cli_since("28.0")
@pytest.mark.parametrize(
    ("networks", "ipv4", "ipv6"),
    [
        (("alpha", "beta"), "10.215.72.1", "fd15:72::1"),
        (("alpha", "gamma"), "10.215.71.1", "fd15:73::1"),
        (("beta", "gamma"), "10.215.72.1", "fd15:72::1"),
        (("alpha", "omega"), "10.215.71.1", ""),
        (("alpha", "name=omega,gw-priority=1"), "10.215.75.1", ""),
        (("alpha", "name=inner,gw-priority=9"), "10.215.71.1", ""),
    ],
)
def test_the_way_out(cli: DockerCli, networks: tuple[str, ...], ipv4: str, ipv6: str) -> None:
    """The first network that leads out in both families, by priority and name; else the first in each."""
    made: dict[str, tuple[str, ...]] = {
        "alpha": ("--subnet", "10.215.71.0/24"),
        "beta": ("--subnet", "10.215.72.0/24", "--ipv6", "--subnet", "fd15:72::/64"),
        "gamma": ("--ipv4=false", "--ipv6", "--subnet", "fd15:73::/64"),
        "inner": ("--internal", "--subnet", "10.215.74.0/24"),
        "omega": ("--subnet", "10.215.75.0/24"),
    }
    for name in networks:
        plain = name.removeprefix("name=").partition(",")[0]
        cli.ok("network", "create", *made[plain], plain)
    options = [text for name in networks for text in ("--network", name)]
    shown = cli.ok("run", "--rm", *options, "busybox", "sh", "-c", "ip route; ip -6 route")
    ways = [line.split()[2] for line in shown.splitlines() if line.startswith("default via")]
    assert ways == [way for way in (ipv4, ipv6) if way]


def test_a_container_may_leave_its_only_network_and_come_back(cli: DockerCli, api: RawHttp, front: str) -> None:
    cli.ok("run", "-d", "--name", "web", "--network", front, "-p", "127.0.0.1::80", "busybox", "sleep", "60")
    cli.ok("network", "disconnect", front, "web")
    found = api.get("/containers/web/json")
    assert (found["NetworkSettings"]["Networks"], found["State"]["Status"]) == ({}, "running")
    assert cli.ok("exec", "web", "ip", "route") == ""
    cli.ok("network", "connect", front, "web")
    assert "default via 10.215.70.1 dev eth0" in cli.ok("exec", "web", "ip", "route")


def test_settings_are_shown_as_the_container_lives(cli: DockerCli, api: RawHttp, front: str) -> None:
    published = ("-p", "127.0.0.1::80", "--expose", "90")
    cli.ok(
        "create", "--name", "web", "--network", front, "--network-alias", "site", *published, "busybox", "sleep", "60"
    )

    def shown() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        settings = api.get("/containers/web/json")["NetworkSettings"]
        (listed,) = api.get("/containers/json?all=1")
        return settings, settings["Networks"][front], listed["NetworkSettings"]["Networks"][front]

    settings, endpoint, listed = shown()
    assert (settings["SandboxID"], settings["SandboxKey"], settings["Ports"]) == ("", "", {})
    assert (endpoint["NetworkID"], endpoint["IPAddress"], endpoint["Aliases"]) == ("", "", ["site"])
    cli.ok("start", "web")
    for state in ("start", "pause"):
        cli.run(state, "web")
        settings, endpoint, listed = shown()
        assert set(settings["Ports"]) == {"80/tcp", "90/tcp"}
        assert (endpoint["IPAddress"], endpoint["Gateway"]) == ("10.215.70.2", "10.215.70.1")
        assert (listed["IPAddress"], listed["Aliases"], listed["DNSNames"]) == ("10.215.70.2", None, None)
        assert settings["IPAddress"] == "", "that is the default bridge's"
    cli.ok("unpause", "web")
    network = endpoint["NetworkID"]
    cli.ok("stop", "-t", "0", "web")
    settings, endpoint, listed = shown()
    assert (settings["SandboxID"], settings["SandboxKey"], settings["Ports"]) == ("", "", {})
    assert (endpoint["NetworkID"], endpoint["EndpointID"], endpoint["IPAddress"]) == (network, "", "")
    cli.ok("network", "create", "--subnet", "10.215.76.0/24", "back")
    cli.ok("network", "connect", "--ip", "10.215.76.9", "back", "web")
    added = api.get("/containers/web/json")["NetworkSettings"]["Networks"]["back"]
    assert (added["IPAMConfig"], added["IPAddress"]) == ({"IPv4Address": "10.215.76.9"}, "")
    cli.ok("start", "web")
    networks = api.get("/containers/web/json")["NetworkSettings"]["Networks"]
    assert {name: e["IPAddress"] for name, e in networks.items()} == {"front": "10.215.70.2", "back": "10.215.76.9"}


def test_events_tell_of_every_change(cli: DockerCli, front: str) -> None:
    since = f"{time.time():.6f}"
    network = cli.ok("network", "create", "--label", "a=b", "back")
    container = cli.ok("run", "-d", "--network", front, "busybox", "sleep", "60")
    cli.ok("network", "connect", "back", container)
    cli.ok("network", "disconnect", "back", container)
    cli.ok("rm", "-f", container)
    cli.ok("network", "prune", "-f")
    until = f"{time.time():.6f}"
    shown = cli.ok("events", "--since", since, "--until", until, "--filter", "type=network", "--format", "{{json .}}")
    found = [json.loads(line) for line in shown.splitlines()]
    on = {"container": container, "type": "bridge"}
    plain = {"name": "back", "type": "bridge"}
    told = [(e["Action"], e["Actor"]["Attributes"]) for e in found]
    assert told[:5] == [
        ("create", plain),
        ("connect", {**on, "name": "front"}),
        ("connect", {**on, "name": "back"}),
        ("disconnect", {**on, "name": "back"}),
        ("disconnect", {**on, "name": "front"}),
    ]
    destroyed = [attributes["name"] for action, attributes in told[5:] if action == "destroy"]
    assert sorted(destroyed) == ["back", "front"]
    assert told[-1] == ("prune", {"reclaimed": "0"})
    assert next(e["Actor"]["ID"] for e in found if e["Action"] == "create") == network
    assert {e["scope"] for e in found} == {"local"}
