"""Network drivers of plugins: the plugin makes the links, the engine gives the addresses."""

from collections.abc import Callable, Iterator

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.plugin import NetworkPlugin, Plugin, sockets, unused_name
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually

CREATE, JOIN, ASKED = "NetworkDriver.CreateNetwork", "NetworkDriver.Join", "NetworkDriver.EndpointOperInfo"


@pytest.fixture
def driver(engine: Daemon, keep: Callable[[Plugin], Plugin]) -> Iterator[NetworkPlugin]:
    plugin = NetworkPlugin(sockets(engine) / f"{unused_name('net')}.sock", engine)
    keep(plugin)
    yield plugin
    plugin.reset()
    engine.wipe()


def test_info_names_the_drivers_of_networks(cli: DockerCli, api: RawHttp, driver: NetworkPlugin) -> None:
    assert driver.name not in api.get("/info")["Plugins"]["Network"]
    cli.ok("network", "create", "-d", driver.name, "nn")
    assert driver.name in api.get("/info")["Plugins"]["Network"]


def test_an_endpoint_is_asked_about_once(cli: DockerCli, api: RawHttp, driver: NetworkPlugin) -> None:
    cli.ok("network", "create", "-d", driver.name, "nn")
    cid = cli.ok("run", "-d", "--net", "nn", "busybox", "sleep", "600")
    endpoint = api.get(f"/containers/{cid}/json")["NetworkSettings"]["Networks"]["nn"]["EndpointID"]
    api.get("/networks/nn?verbose=1")
    [asked] = driver.bodies(ASKED)
    assert asked["EndpointID"] == endpoint


def test_a_network_is_described_to_its_plugin(cli: DockerCli, api: RawHttp, driver: NetworkPlugin) -> None:
    ipam = {
        "Config": [{"Subnet": "10.177.0.0/24", "AuxiliaryAddresses": {"x": "10.177.0.9"}}, {"Subnet": "fd00:177::/64"}]
    }
    body = {"Name": "nn", "Driver": driver.name, "EnableIPv6": True, "Internal": True, "IPAM": ipam}
    made = api.post("/networks/create", {**body, "Options": {"colour": "red"}})
    assert made.status == 201
    network = made.json()["Id"]
    assert driver.bodies(CREATE) == [
        {
            "NetworkID": network,
            "Options": {
                "com.docker.network.enable_ipv4": True,
                "com.docker.network.enable_ipv6": True,
                "com.docker.network.generic": {"colour": "red"},
                "com.docker.network.internal": True,
            },
            "IPv4Data": [
                {
                    "AddressSpace": "LocalDefault",
                    "AuxAddresses": {"x": "10.177.0.9/24"},
                    "Gateway": "10.177.0.1/24",
                    "Pool": "10.177.0.0/24",
                }
            ],
            "IPv6Data": [{"AddressSpace": "LocalDefault", "Gateway": "fd00:177::1/64", "Pool": "fd00:177::/64"}],
        }
    ]
    found = api.get("/networks/nn")
    assert (found["Driver"], found["Scope"], found["Options"]) == (driver.name, "local", {"colour": "red"})
    assert cli.ok("network", "ls", "-q", "--no-trunc", "-f", f"driver={driver.name}") == network
    cli.ok("network", "rm", "nn")
    assert driver.bodies("NetworkDriver.DeleteNetwork") == [{"NetworkID": network}]


def test_packets_flow(cli: DockerCli, api: RawHttp, driver: NetworkPlugin) -> None:
    cli.ok("network", "create", "-d", driver.name, "--subnet", "10.178.0.0/24", "nn")
    cli.ok("run", "-d", "--name", "on", "--network", "nn", "-p", "8080:80", "busybox", "sleep", "60")
    cli.ok("exec", "on", "ping", "-c", "1", "-W", "5", "10.178.0.1")
    assert "plg0" in cli.ok("exec", "on", "cat", "/proc/net/dev")
    settings = api.get("/containers/on/json")["NetworkSettings"]["Networks"]["nn"]
    assert (settings["IPAddress"], settings["IPPrefixLen"], settings["Gateway"]) == ("10.178.0.2", 24, "10.178.0.1")
    (created,) = driver.bodies("NetworkDriver.CreateEndpoint")
    assert created["Interface"] == {"Address": "10.178.0.2/24", "AddressIPv6": "", "MacAddress": ""}
    (joined,) = driver.bodies(JOIN)
    assert joined["EndpointID"] == created["EndpointID"] == settings["EndpointID"]
    binding = {"Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080}
    assert joined["Options"] == {
        "com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}],
        "com.docker.network.portmap": [binding],
    }
    assert len(driver.bodies("NetworkDriver.ProgramExternalConnectivity")) == 1
    busy = api.request("DELETE", "/networks/nn")
    assert busy.status == 403
    cli.ok("rm", "-f", "on")
    ended = ["NetworkDriver.RevokeExternalConnectivity", "NetworkDriver.Leave", "NetworkDriver.DeleteEndpoint"]
    eventually(lambda: [m for m in driver.methods() if m in ended] == ended, what="the plugin is told of the end")


def test_live_connect_and_disconnect(cli: DockerCli, driver: NetworkPlugin) -> None:
    for number in (1, 2):
        cli.ok("network", "create", "-d", driver.name, "--subnet", f"10.18{number}.0.0/24", f"n{number}")
    cli.ok("run", "-d", "--name", "on", "--network", "n1", "busybox", "sleep", "60")
    cli.ok("network", "connect", "n2", "on")
    assert driver.methods()[-1] == ASKED  # dockerd asks about the other one, too, and more than once
    assert driver.bodies(ASKED)[-1] == {key: driver.bodies(JOIN)[-1][key] for key in ("NetworkID", "EndpointID")}
    cli.ok("exec", "on", "ping", "-c", "1", "-W", "5", "10.182.0.1")
    assert "plg1" in cli.ok("exec", "on", "cat", "/proc/net/dev")
    cli.ok("network", "disconnect", "n2", "on")
    assert "plg1" not in cli.ok("exec", "on", "cat", "/proc/net/dev")
    cli.ok("exec", "on", "ping", "-c", "1", "-W", "5", "10.181.0.1")


def test_failures_of_the_plugin(cli: DockerCli, api: RawHttp, driver: NetworkPlugin) -> None:
    missing = api.post("/networks/create", {"Name": "nn", "Driver": "nosuchdriver"})
    assert (missing.status, missing.message) == (404, 'plugin "nosuchdriver" not found')
    driver.handlers[CREATE] = lambda _: {"Err": "no network today"}
    refused = api.post("/networks/create", {"Name": "nn", "Driver": driver.name})
    assert (refused.status, refused.message) == (500, "remote: no network today")
    driver.handlers[CREATE] = driver.create
    cli.ok("network", "create", "-d", driver.name, "--subnet", "10.183.0.0/24", "nn")
    run = ("run", "--rm", "--name", "on", "--network", "nn", "busybox", "true")
    driver.handlers["NetworkDriver.CreateEndpoint"] = lambda _: {"Err": "no endpoint"}
    said = cli.fails(*run)
    text = "failed to set up container networking: failed to create endpoint on on network nn: remote: no endpoint"
    assert text in said
    driver.handlers["NetworkDriver.CreateEndpoint"] = lambda _: {}
    driver.handlers[JOIN] = lambda _: {"Err": "no joining"}
    assert "failed to set up container networking: remote: no joining" in cli.fails(*run)
    assert driver.methods()[-1] == "NetworkDriver.DeleteEndpoint"
    driver.handlers[JOIN] = driver.join
    cli.ok(*run)
    driver.handlers["NetworkDriver.DeleteNetwork"] = lambda _: {"Err": "it stays"}
    assert cli.ok("network", "rm", "nn") == "nn"


@pytest.mark.wharfd_only("dockerd ends containers with itself")
def test_a_killed_daemon_knows_its_endpoints_again(
    cli: DockerCli, api: RawHttp, driver: NetworkPlugin, engine: Daemon
) -> None:
    cli.ok("network", "create", "-d", driver.name, "--subnet", "10.184.0.0/24", "nn")
    cli.ok("run", "-d", "--name", "on", "--network", "nn", "busybox", "sleep", "600")
    engine.kill()
    engine.start()
    assert len(driver.bodies(CREATE)) == 2, "a plugin hears of its networks again"
    cli.ok("exec", "on", "ping", "-c", "1", "-W", "5", "10.184.0.1")
    assert api.request("DELETE", "/networks/nn").status == 403
    cli.ok("rm", "-f", "on")
    eventually(lambda: "NetworkDriver.DeleteEndpoint" in driver.methods(), what="the plugin is told of the end")
    cli.ok("network", "rm", "nn")
