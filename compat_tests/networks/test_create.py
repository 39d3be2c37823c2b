"""Networks that can and cannot be made: options, subnets, configuration networks, in dockerd's words."""

from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp

BRIDGE = "com.docker.network.bridge"


def _subnet(subnet: str, **more: Any) -> dict[str, Any]:
    return {"IPAM": {"Config": [{"Subnet": subnet, **more}]}}


def _options(**options: str) -> dict[str, Any]:
    return {"Options": {f"{BRIDGE}.{name}": value for name, value in options.items()}}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (
            _options(gateway_mode_ipv4="x"),
            400,
            f"failed to parse {BRIDGE}.gateway_mode_ipv4 value: x (unknown gateway mode x)",
        ),
        (
            _options(gateway_mode_ipv6="isolated"),
            500,
            "gateway mode 'isolated' can only be used for an internal network",
        ),
        (_options(host_binding_ipv4="x"), 400, f"failed to parse {BRIDGE}.host_binding_ipv4 value: x (nil ip)"),
        (
            _options(inhibit_ipv4="x"),
            400,
            f'failed to parse {BRIDGE}.inhibit_ipv4 value: x (strconv.ParseBool: parsing "x": invalid syntax)',
        ),
        ({"Options": {"com.docker.network.driver.mtu": "-1"}}, 400, "invalid MTU number: -1"),
        (_options(name="a" * 20), 500, "numerical result out of range"),
        (_options(name="a/b"), 500, "invalid argument"),
        (_options(name="lo"), 500, "existing interface lo is not a bridge"),
        ({"Ingress": True}, 403, "Ingress network can only be global scope network"),
        ({"IPAM": {"Driver": "null"}}, 400, "ipv4 pool is empty"),
        (
            {"IPAM": {"Config": [{"Subnet": "10.215.20.0/24"}, {"Subnet": "10.215.21.0/24"}]}},
            403,
            "bridge driver doesn't support multiple subnets",
        ),
        (
            _subnet("10.215.22.0/24", Gateway="10.215.22.0"),
            500,
            "failed to allocate gateway (10.215.22.0): Address already in use",
        ),
        (
            _subnet("10.215.23.0/24", AuxiliaryAddresses={"a": "10.215.23.1"}),
            500,
            "failed to allocate secondary ip address (a:10.215.23.1): Address already in use",
        ),
        (
            _subnet("10.215.24.0/24", AuxiliaryAddresses={"a": "10.216.9.1"}),
            400,
            (
                "invalid network config:\n"
                "invalid auxiliary address a: parent subnet 10.215.24.0/24 doesn't contain this address"
            ),
        ),
        (
            _subnet("10.215.25.0/24", Gateway="fd00::1"),
            400,
            "invalid network config:\ninvalid gateway fd00::1: parent subnet is an IPv4 block",
        ),
        (
            {"Driver": "overlay"},
            403,
            (
                'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
                "to swarm and try again."
            ),
        ),
        (
            {"ConfigOnly": True, "Internal": True},
            403,
            (
                "configuration network can only contain network specific fields. Network operator fields like "
                "[ ingress | internal | attachable | scope ] are not supported."
            ),
        ),
        (
            {"ConfigOnly": True, "ConfigFrom": {"Network": "x"}},
            403,
            "a configuration network cannot depend on another configuration network",
        ),
        ({"ConfigFrom": {"Network": "bridge"}}, 404, 'configuration network "bridge" does not exist'),
        (
            {"ConfigFrom": {"Network": "x"}, "Options": {"a": "b"}},
            403,
            "network driver options are not supported if the network depends on a configuration network",
        ),
        (
            {"ConfigFrom": {"Network": "x"}, "EnableIPv6": True},
            403,
            "user specified configurations are not supported if the network depends on a configuration network",
        ),
    ],
)
def test_what_cannot_be_made(api: RawHttp, body: dict[str, Any], status: int, message: str) -> None:
    answer = api.post("/networks/create", {"Name": "front", **body})
    assert (answer.status, answer.message) == (status, message)
    assert api.request("GET", "/networks/front").status == 404


@pytest.mark.parametrize(
    ("body", "config"),
    [
        (_subnet("10.215.30.0/24"), [{"Subnet": "10.215.30.0/24"}]),
        (
            _subnet("10.215.31.0/24", AuxiliaryAddresses={"a": "10.215.31.9"}),
            [{"Subnet": "10.215.31.0/24", "AuxiliaryAddresses": {"a": "10.215.31.9"}}],
        ),
        ({"EnableIPv6": True, "EnableIPv4": False, **_subnet("fd15:30::/64")}, [{"Subnet": "fd15:30::/64"}]),
    ],
)
def test_subnets_are_shown_as_they_were_asked_for(api: RawHttp, body: dict[str, Any], config: list[Any]) -> None:
    assert api.post("/networks/create", {"Name": "front", **body}).status == 201
    assert api.get("/networks/front")["IPAM"]["Config"] == config


def test_a_family_may_be_an_option(api: RawHttp) -> None:
    families = {"com.docker.network.enable_ipv4": "false", "com.docker.network.enable_ipv6": "true"}
    assert api.post("/networks/create", {"Name": "front", "Options": families}).status == 201
    network = api.get("/networks/front")
    assert (network["EnableIPv4"], network["EnableIPv6"]) == (False, True)
    assert len(network["IPAM"]["Config"]) == 1


def test_settings_of_another_network(api: RawHttp, cli: DockerCli) -> None:
    settings = {"ConfigOnly": True, "Labels": {"a": "b"}, "Options": {"com.docker.network.driver.mtu": "1400"}}
    assert api.post("/networks/create", {"Name": "settings", **settings, **_subnet("10.215.40.0/24")}).status == 201
    source = api.get("/networks/settings")
    assert (source["ConfigOnly"], source["Driver"], source["Scope"]) == (True, "null", "local")
    assert source["IPAM"]["Config"] == [{"Subnet": "10.215.40.0/24"}]
    assert api.post("/networks/create", {"Name": "front", "ConfigFrom": {"Network": "settings"}}).status == 201
    network = api.get("/networks/front")
    assert network["ConfigFrom"] == {"Network": "settings"}
    for field in ("Options", "Labels", "IPAM"):
        assert network[field] == source[field]
    assert "mtu 1400" in cli.ok("run", "--rm", "--network", "front", "busybox", "ip", "link", "show", "eth0")
    used = api.request("DELETE", "/networks/settings")
    assert (used.status, used.message) == (
        403,
        'error while removing network: configuration network "settings" is in use',
    )
    assert "cannot create endpoint on configuration-only network" in cli.fails(
        "run", "--rm", "--network", "settings", "busybox", "true"
    )
    assert api.request("DELETE", "/networks/front").status == 204
    assert api.request("DELETE", "/networks/settings").status == 204


@pytest.mark.parametrize(
    ("options", "routes"),
    [
        (("--subnet", "10.215.50.0/24"), ("10.215.50.1", "10.215.50.2")),
        (("--subnet", "10.215.51.0/24", "--ip-range", "10.215.51.128/25"), ("10.215.51.128", "10.215.51.129")),
        (
            ("--subnet", "10.215.52.0/24", "--aux-address", "DefaultGatewayIPv4=10.215.52.9"),
            ("10.215.52.9", "10.215.52.2"),
        ),
        (("--subnet", "10.215.53.0/31"), ("10.215.53.0", "10.215.53.1")),
        (("--subnet", "10.215.54.0/24", "-o", f"{BRIDGE}.inhibit_ipv4=true"), ("10.215.54.1", "10.215.54.2")),
    ],
)
def test_addresses_and_gateways(cli: DockerCli, options: tuple[str, ...], routes: tuple[str, str]) -> None:
    cli.ok("network", "create", *options, "front")
    shown = cli.ok("run", "--rm", "--network", "front", "busybox", "ip", "route")
    assert f"default via {routes[0]} dev eth0" in shown
    assert f"src {routes[1]}" in shown


def test_a_network_that_is_full_says_so(cli: DockerCli) -> None:
    network = cli.ok("network", "create", "--subnet", "10.215.55.0/30", "front")
    cli.ok("run", "-d", "--network", "front", "busybox", "sleep", "60")
    message = cli.fails("run", "--rm", "--network", "front", "busybox", "true")
    assert f"no available IPv4 addresses on this network's address pools: front ({network})" in message


def test_an_isolated_bridge_has_no_address(cli: DockerCli, api: RawHttp) -> None:
    modes = [text for v in "46" for text in ("-o", f"{BRIDGE}.gateway_mode_ipv{v}=isolated")]
    cli.ok("network", "create", "--internal", "--ipv6", *modes, "front")
    assert all("Gateway" not in pool for pool in api.get("/networks/front")["IPAM"]["Config"])
    for name in ("one", "two"):
        cli.ok("run", "-d", "--name", name, "--network", "front", "busybox", "sleep", "60")
    assert cli.ok("inspect", "-f", "{{.NetworkSettings.Networks.front.IPAddress}}", "one").endswith(".1")
    assert "1 packets received" in cli.ok("exec", "one", "ping", "-c", "1", "two")


def test_a_users_own_bridge_stays(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("network", "create", "-o", f"{BRIDGE}.name=wctown0", "--subnet", "10.215.56.0/24", "front")
    shared = api.post("/networks/create", {"Name": "back", **_options(name="wctown0")})
    assert shared.status == 403
    assert shared.message.endswith("(wctown0): networks have same bridge name")
    cli.ok("network", "rm", "front")
