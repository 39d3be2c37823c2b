"""Networks as clients see them: create, list, inspect, remove, prune, connect, disconnect, and their errors."""

import json
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import docker
import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp

SUBNET = {"Config": [{"Subnet": "10.215.7.0/24"}]}


def _networks(api: RawHttp, **filters: list[str]) -> list[str]:
    query = urllib.parse.quote(json.dumps(filters))
    return sorted(n["Name"] for n in api.get(f"/networks?filters={query}"))


def test_the_predefined_networks(cli: DockerCli, api: RawHttp) -> None:
    listed = cli.ok("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}").splitlines()
    assert sorted(listed) == ["bridge bridge local", "host host local", "none null local"]
    bridge = api.get("/networks/bridge")
    assert bridge["Options"]["com.docker.network.bridge.default_bridge"] == "true"
    assert set(bridge["IPAM"]["Config"][0]) >= {"Subnet", "Gateway"}
    host = api.get("/networks/host")
    assert (host["IPAM"]["Config"], host["Options"], host["Labels"], host["Containers"]) == (None, {}, {}, {})


def test_create_inspect_remove(cli: DockerCli, api: RawHttp) -> None:
    wanted = {
        "Name": "front",
        "IPAM": {
            "Config": [{"Subnet": "10.215.7.0/24", "IPRange": "10.215.7.128/25", "Gateway": "10.215.7.200"}],
            "Options": {"a": "b"},
        },
        "Internal": True,
        "Attachable": True,
        "Labels": {"tier": "1"},
        "Options": {"com.docker.network.driver.mtu": "1400"},
    }
    made = api.post("/networks/create", wanted)
    assert (made.status, made.json()["Warning"]) == (201, "")
    found = api.get("/networks/front")
    assert found["Id"] == made.json()["Id"]
    for key in ("Internal", "Attachable", "Labels", "Options"):
        assert found[key] == wanted[key]
    assert found["IPAM"] == {"Driver": "default", **wanted["IPAM"]}
    assert (found["ConfigFrom"], found["ConfigOnly"], found["EnableIPv4"]) == ({"Network": ""}, False, True)
    assert cli.ok("network", "rm", "front") == "front"
    gone = api.request("GET", "/networks/front")
    assert (gone.status, gone.message) == (404, "network front not found")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "invalid name: name is empty"),
        ({"Name": "bridge"}, 403, "operation is not permitted on predefined bridge network "),
        ({"Name": "n", "Driver": "bogus"}, 404, 'plugin "bogus" not found'),
        ({"Name": "n", "Driver": "host"}, 403, 'only one instance of "host" network is allowed'),
        ({"Name": "n", "EnableIPv4": False}, 400, "IPv4 or IPv6 must be enabled"),
        (
            {"Name": "n", "IPAM": {"Config": [{"Subnet": "bogus"}]}},
            400,
            "invalid network config:\ninvalid subnet bogus: invalid CIDR block notation",
        ),
        (
            {"Name": "n", "IPAM": {"Config": [{"Subnet": "10.215.8.5/24"}]}},
            400,
            "invalid network config:\ninvalid subnet 10.215.8.5/24: it should be 10.215.8.0/24",
        ),
        (
            {"Name": "n", "Options": {"com.docker.network.bridge.enable_icc": "maybe"}},
            400,
            (
                "failed to parse com.docker.network.bridge.enable_icc value: maybe "
                '(strconv.ParseBool: parsing "maybe": invalid syntax)'
            ),
        ),
    ],
)
def test_what_cannot_be_made(api: RawHttp, body: dict[str, Any], status: int, message: str) -> None:
    answer = api.post("/networks/create", body)
    assert (answer.status, answer.message) == (status, message)


def test_names_and_subnets_are_taken_once(api: RawHttp) -> None:
    api.post("/networks/create", {"Name": "front", "IPAM": SUBNET})
    twice = api.post("/networks/create", {"Name": "front"})
    assert (twice.status, twice.message) == (409, "network with name front already exists")
    overlap = api.post("/networks/create", {"Name": "back", "IPAM": {"Config": [{"Subnet": "10.215.0.0/16"}]}})
    assert overlap.status == 403
    assert overlap.message == "invalid pool request: Pool overlaps with other one on this address space"


def test_filters(api: RawHttp, cli: DockerCli) -> None:
    cli.ok("network", "create", "--label", "tier=1", "front")
    cli.ok("network", "create", "back")
    assert _networks(api, type=["custom"]) == ["back", "front"]
    assert _networks(api, label=["tier=1"]) == ["front"]
    assert _networks(api, name=["^ba"]) == ["back"]
    assert _networks(api, dangling=["true"]) == ["back", "front"]
    assert _networks(api, driver=["null"]) == ["none"]
    for filters, status in (("bogus", 400), ("type", 500), ("dangling", 400)):
        query = urllib.parse.quote(json.dumps({filters: ["x"]}))
        assert api.request("GET", f"/networks?filters={query}").status == status
    assert sorted(api.request("POST", "/networks/prune").json()["NetworksDeleted"]) == ["back", "front"]
    assert api.request("POST", "/networks/prune").json() == {"NetworksDeleted": None}


def test_a_network_in_use_stays(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("network", "create", "front")
    cli.ok("run", "-d", "--name", "web", "--network", "front", "busybox", "sleep", "60")
    endpoint = api.get("/containers/web/json")["NetworkSettings"]["Networks"]["front"]["EndpointID"]
    busy = api.request("DELETE", "/networks/front")
    assert busy.status == 403
    assert busy.message == (
        f'error while removing network: network front has active endpoints (name:"web" id:"{endpoint[:12]}")'
    )
    assert api.request("DELETE", "/networks/host").message == "host is a pre-defined network and cannot be removed"
    assert cli.ok("network", "prune", "-f") == ""


@pytest.mark.cli_since("28.0")
def test_connect_and_disconnect_while_running(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("network", "create", "front")
    cli.ok("network", "create", "--subnet", "10.215.7.0/24", "back")
    cli.ok("run", "-d", "--name", "web", "--network", "front", "--hostname", "site", "busybox", "sleep", "60")
    cli.ok("network", "connect", "--ip", "10.215.7.77", "--alias", "db", "--gw-priority", "1", "back", "web")
    endpoint = api.get("/containers/web/json")["NetworkSettings"]["Networks"]["back"]
    assert (endpoint["IPAddress"], endpoint["Gateway"], endpoint["IPPrefixLen"]) == ("10.215.7.77", "10.215.7.1", 24)
    assert endpoint["DNSNames"][:2] == ["web", "db"]
    assert "10.215.7.77/24" in cli.ok("exec", "web", "ip", "addr", "show", "eth1")
    assert "default via 10.215.7.1 dev eth1" in cli.ok("exec", "web", "ip", "route")
    assert "10.215.7.77\tsite" in cli.ok("exec", "web", "cat", "/etc/hosts")
    again = api.post("/networks/back/connect", {"Container": "web"})
    assert (again.status, again.message) == (403, "endpoint with name web already exists in network back")
    cli.ok("network", "disconnect", "back", "web")
    assert "eth1" not in cli.ok("exec", "web", "ip", "addr")
    assert "dev eth0" in cli.ok("exec", "web", "ip", "route")
    assert "10.215.7.77" not in cli.ok("exec", "web", "cat", "/etc/hosts")
    gone = api.post("/networks/back/disconnect", {"Container": "web"})
    assert gone.status == 500
    assert gone.message.endswith("is not connected to network back")


def test_connect_before_the_start(cli: DockerCli, create: Callable[..., str], api: RawHttp) -> None:
    cli.ok("network", "create", "front")
    create("sleep", "60", name="web")
    cli.ok("network", "connect", "--alias", "site", "front", "web")
    cli.ok("start", "web")
    networks = api.get("/containers/web/json")["NetworkSettings"]["Networks"]
    assert sorted(networks) == ["bridge", "front"]
    assert networks["front"]["Aliases"] == ["site"]
    assert len(api.get("/networks/front")["Containers"]) == 1


@pytest.mark.parametrize(
    ("network", "body", "status", "message"),
    [
        ("front", {"Container": "nope"}, 404, "No such container: nope"),
        ("nope", {"Container": "web"}, 404, "network nope not found"),
        ("front", {}, 400, 'invalid name or ID supplied: ""'),
        (
            "front",
            {"Container": "web", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "1.2.3.4"}}},
            400,
            (
                "invalid endpoint settings:\n"
                "user specified IP address is supported only when connecting to networks with user configured subnets"
            ),
        ),
        (
            "host",
            {"Container": "web"},
            400,
            "cannot connect container to host network - container must be created in host network mode",
        ),
    ],
)
def test_what_cannot_be_connected(
    cli: DockerCli, api: RawHttp, network: str, body: dict[str, Any], status: int, message: str
) -> None:
    cli.ok("network", "create", "front")
    cli.ok("run", "-d", "--name", "web", "busybox", "sleep", "60")
    answer = api.post(f"/networks/{network}/connect", body)
    assert (answer.status, answer.message) == (status, message)


def test_events(cli: DockerCli) -> None:
    since = f"{time.time():.6f}"
    network = cli.ok("network", "create", "front")
    container = cli.ok("run", "-d", "--name", "web", "--network", "front", "busybox", "sleep", "60")
    cli.ok("rm", "-f", "web")
    cli.ok("network", "rm", "front")
    shown = cli.ok(
        "events",
        "--since",
        since,
        "--until",
        f"{time.time():.6f}",
        "--filter",
        "type=network",
        "--format",
        "{{json .}}",
    )
    events = [json.loads(line) for line in shown.splitlines()]
    mine = [(e["Action"], e["Actor"]["Attributes"]) for e in events if e["Actor"]["ID"] == network]
    plain, with_container = (
        {"name": "front", "type": "bridge"},
        {"container": container, "name": "front", "type": "bridge"},
    )
    assert mine == [
        ("create", plain),
        ("connect", with_container),
        ("disconnect", with_container),
        ("destroy", plain),
    ]


def test_docker_py(client: docker.DockerClient) -> None:
    network = client.networks.create("front", labels={"a": "b"}, ipam=docker.types.IPAMConfig())
    assert [n.name for n in client.networks.list(names=["front"])] == ["front"]
    container = client.containers.run("busybox", "sleep 60", detach=True)
    network.connect(container, aliases=["site"])
    network.reload()
    assert network.containers == [container]
    network.disconnect(container)
    container.remove(force=True)
    network.remove()
    with pytest.raises(docker.errors.NotFound):
        client.networks.get("front")
