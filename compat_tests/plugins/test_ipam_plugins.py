"""IPAM drivers of plugins: they give subnets and addresses, and get each of them back once."""

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.ipam_plugin import ADDRESS, FREE, FREE_POOL, POOL, IpamPlugin
from compat_tests.clients.plugin import Plugin, sockets, unused_name
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite

GATEWAY = {"RequestAddressType": "com.docker.network.gateway"}
FAILED = "failed to set up container networking: "


@pytest.fixture
def driver(engine: Daemon, keep: Callable[[Plugin], Plugin]) -> Iterator[IpamPlugin]:
    plugin = IpamPlugin(sockets(engine) / f"{unused_name('ipam')}.sock")
    keep(plugin)
    yield plugin
    engine.wipe()
    _all_is_back(plugin)


def _all_is_back(plugin: IpamPlugin) -> None:
    eventually(lambda: not plugin.held() and not plugin.pools, what="all is given back")
    assert plugin.doubles == []


def test_a_network_gets_its_subnet_and_gateway(cli: DockerCli, api: RawHttp, driver: IpamPlugin) -> None:
    cli.ok("network", "create", "--ipam-driver", driver.name, "--ipam-opt", "a=b", "nn")
    [asked] = driver.bodies(POOL)
    assert asked == {"AddressSpace": "here", "Pool": "", "SubPool": "", "Options": {"a": "b"}, "V6": False}
    [pool] = driver.pools
    assert driver.bodies(ADDRESS) == [{"PoolID": pool, "Address": "", "Options": GATEWAY}]
    subnet = driver.pools[pool]
    [gateway] = driver.held()
    ipam = {"Driver": driver.name, "Options": {"a": "b"}, "Config": [{"Subnet": str(subnet), "Gateway": gateway}]}
    assert api.get("/networks/nn")["IPAM"] == ipam
    cli.ok("network", "rm", "nn")
    assert driver.bodies(FREE) == [{"PoolID": pool, "Address": gateway}]
    assert driver.bodies(FREE_POOL) == [{"PoolID": pool}]


def test_what_a_client_asks_for_is_passed_on(cli: DockerCli, api: RawHttp, driver: IpamPlugin) -> None:
    ranges = ("--subnet", "10.178.0.0/24", "--ip-range", "10.178.0.128/25", "--gateway", "10.178.0.9")
    cli.ok("network", "create", "--ipam-driver", driver.name, "--ipv6", *ranges, "--aux-address", "x=10.178.0.5", "nn")
    first, second = driver.bodies(POOL)
    assert (first["Pool"], first["SubPool"], first["V6"]) == ("10.178.0.0/24", "10.178.0.128/25", False)
    assert (second["Pool"], second["V6"]) == ("", True)
    addresses = [(body["Address"], body["Options"]) for body in driver.bodies(ADDRESS)]
    assert addresses == [("10.178.0.9", GATEWAY), ("10.178.0.5", None), ("", GATEWAY)]
    own, chosen = api.get("/networks/nn")["IPAM"]["Config"]
    assert (own["Gateway"], own["AuxiliaryAddresses"]) == ("10.178.0.9", {"x": "10.178.0.5"})
    assert chosen["Subnet"] in {str(subnet) for subnet in driver.pools.values()}


def test_containers_have_the_addresses_that_they_are_given(cli: DockerCli, api: RawHttp, driver: IpamPlugin) -> None:
    cli.ok("network", "create", "--ipam-driver", driver.name, "--ipv6", "nn")
    cli.ok("run", "-d", "--net", "nn", "--name", "one", "busybox", "sleep", "600")
    shown = api.get("/containers/one/json")["NetworkSettings"]["Networks"]["nn"]
    assert {shown["IPAddress"], shown["GlobalIPv6Address"], shown["Gateway"], shown["IPv6Gateway"]} == driver.held()
    assert shown["IPAMConfig"] is None
    inside = cli.ok("exec", "one", "ip", "address", "show", "eth0")
    assert f"inet {shown['IPAddress']}/24 " in inside
    assert f"inet6 {shown['GlobalIPv6Address']}/64 " in inside
    assert cli.ok("run", "--rm", "--net", "nn", "busybox", "ping", "-c1", "one")
    cli.ok("stop", "-t", "0", "one")
    eventually(lambda: len(driver.bodies(FREE)) == 4)
    cli.ok("start", "one")
    cli.ok("network", "disconnect", "nn", "one")
    eventually(lambda: len(driver.held()) == 2)
    cli.ok("network", "connect", "nn", "one")
    assert len(driver.held()) == 4


def test_an_address_that_is_asked_for(cli: DockerCli, api: RawHttp, driver: IpamPlugin) -> None:
    cli.ok("network", "create", "--ipam-driver", driver.name, "--subnet", "10.178.0.0/24", "nn")
    cli.ok("run", "-d", "--net", "nn", "--ip", "10.178.0.77", "--name", "one", "busybox", "sleep", "600")
    assert driver.bodies(ADDRESS)[-1]["Address"] == "10.178.0.77"
    shown = api.get("/containers/one/json")["NetworkSettings"]["Networks"]["nn"]
    assert (shown["IPAddress"], shown["IPAMConfig"]) == ("10.178.0.77", {"IPv4Address": "10.178.0.77"})


def test_a_driver_that_wants_to_know_the_mac(
    cli: DockerCli, api: RawHttp, engine: Daemon, keep: Callable[[Plugin], Plugin]
) -> None:
    driver = IpamPlugin(sockets(engine) / f"{unused_name('ipam')}.sock")
    driver.handlers["IpamDriver.GetCapabilities"] = lambda _: {"RequiresMACAddress": True}
    keep(driver)
    cli.ok("network", "create", "--ipam-driver", driver.name, "nn")
    cli.ok("run", "-d", "--net", "nn", "--name", "one", "busybox", "sleep", "600")
    told = driver.bodies(ADDRESS)[-1]["Options"]["com.docker.network.endpoint.macaddress"]
    assert api.get("/containers/one/json")["NetworkSettings"]["Networks"]["nn"]["MacAddress"] == told
    assert cli.ok("exec", "one", "cat", "/sys/class/net/eth0/address") == told


def test_a_gateway_that_comes_with_the_subnet(cli: DockerCli, api: RawHttp, driver: IpamPlugin) -> None:
    def with_gateway(body: dict[str, object]) -> dict[str, object]:
        driver.addresses["p"] = {"10.178.5.7"}
        driver.pools["p"] = ipaddress.ip_network("10.178.5.0/24")
        return {"PoolID": "p", "Pool": "10.178.5.0/24", "Data": {"com.docker.network.gateway": "10.178.5.7/24"}}

    driver.handlers[POOL] = with_gateway
    cli.ok("network", "create", "--ipam-driver", driver.name, "nn")
    assert api.get("/networks/nn")["IPAM"]["Config"] == [{"Subnet": "10.178.5.0/24", "Gateway": "10.178.5.7"}]
    assert ADDRESS not in driver.methods()


def test_failures(cli: DockerCli, driver: IpamPlugin) -> None:
    new = ("network", "create", "--ipam-driver", driver.name)
    driver.handlers[POOL] = lambda _: {"Error": "no pool"}
    assert cli.fails(*new, "nn") == "Error response from daemon: remote: no pool"
    driver.handlers[POOL] = driver.request_pool
    for reply, said in (({"Error": "none left"}, "remote: none left"), ({}, "no address returned")):
        driver.handlers[ADDRESS] = lambda _, reply=reply: reply  # type: ignore[misc]
        assert cli.fails(*new, "nn") == f"Error response from daemon: failed to allocate gateway (): {said}"
        assert not driver.pools
    driver.handlers[ADDRESS] = driver.request_address
    cli.ok(*new, "nn")
    held = driver.held()
    for reply, said in (({"Error": "none left"}, "remote: none left"), ((500, b"{}"), f"{ADDRESS}: {{}}")):
        driver.handlers[ADDRESS] = lambda _, reply=reply: reply  # type: ignore[misc]
        assert f"Error response from daemon: {FAILED}{said}\n" in cli.fails("run", "--net", "nn", "busybox", "true")
    assert driver.held() == held
    unknown = cli.fails("network", "create", "--ipam-driver", "nosuch", "other")
    assert unknown == 'Error response from daemon: plugin "nosuch" not found'


def test_subnets_that_overlap(api: RawHttp, driver: IpamPlugin) -> None:
    """A plugin's are in a space of their own; a bridge cannot share a subnet with another for all that."""

    def new(name: str, ipam: str, *subnets: str) -> tuple[int, str]:
        settings = {"Driver": ipam, "Config": [{"Subnet": subnet} for subnet in subnets]}
        answer = api.post("/networks/create", {"Name": name, "IPAM": settings})
        return answer.status, str(answer.json().get("message", ""))

    several = "bridge driver doesn't support multiple subnets"
    assert new("nn", driver.name, "10.178.0.0/24", "10.178.0.128/25") == (403, several)
    assert new("ours", "default", "10.179.0.0/16")[0] == 201
    assert new("theirs", driver.name, "10.178.0.0/16")[0] == 201
    for ipam, subnet, other in (
        (driver.name, "10.179.1.0/24", "ours"),
        (driver.name, "10.178.1.0/24", "theirs"),
        ("default", "10.178.1.0/24", "theirs"),
    ):
        status, said = new("nn", ipam, subnet)
        there = api.get(f"/networks/{other}")["Id"]
        assert (status, said.partition(": ")[2]) == (
            403,
            f"conflicts with network {there} (br-{there[:12]}): networks have overlapping IPv4",
        )
        assert said.startswith("cannot create network ")
    assert len(driver.pools) == 1


@pytest.fixture
def own(suite: Suite) -> Iterator[Daemon]:
    """A daemon that may be killed."""
    with suite.killable("--live-restore") as daemon:
        yield daemon


@pytest.mark.wharfd_only("dockerd forgets the addresses of what ended without it")
def test_the_daemon_is_killed(own: Daemon) -> None:
    plugin = IpamPlugin(sockets(own) / f"{unused_name('ipam')}.sock")
    with closing(plugin):
        plugin.start()
        own.cli.ok("network", "create", "--ipam-driver", plugin.name, "nn")
        own.cli.ok("run", "-d", "--net", "nn", "--name", "stays", "busybox", "sleep", "600")
        wait = "while [ ! -e /s/go ]; do sleep 0.05; done"
        own.cli.ok(
            *("run", "-d", "--net", "nn", "--name", "ends", "-v", f"{own.state}/shared:/s"),
            *("busybox", "sh", "-c", f"{wait}; touch /s/over"),
        )
        networks = '{{(index .NetworkSettings.Networks "nn").IPAddress}}'
        before = own.cli.ok("inspect", "-f", networks, "stays")
        assert len(plugin.held()) == 3
        own.kill()
        (own.state / "shared/go").touch()
        eventually((own.state / "shared/over").exists)
        own.start()
        eventually(lambda: len(plugin.held()) == 2, what="the address of what has ended is back")
        assert own.cli.ok("inspect", "-f", networks, "stays") == before
        assert before in plugin.held()
        own.cli.ok("rm", "-f", "stays", "ends")
        own.cli.ok("network", "rm", "nn")
        _all_is_back(plugin)
