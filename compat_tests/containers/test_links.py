"""Legacy links (`--link`) on the default bridge: variables, names, /etc/hosts, removal."""

from collections.abc import Callable

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp


@pytest.fixture
def database(start: Callable[..., str]) -> str:
    ports = ("5432/tcp", "5433/tcp", "53/udp", "53/tcp")
    environment = ["FOO=1", "HOME=/x", "PATH=/bin", "EMPTY="]
    return start("sleep", "300", name="db", ExposedPorts={port: {} for port in ports}, Env=environment)


def address_of(api: RawHttp, name: str) -> str:
    return str(api.get(f"/containers/{name}/json")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])


def names(api: RawHttp) -> dict[str, list[str]]:
    """The names of each container, by its own."""
    listed = (container["Names"] for container in api.get("/containers/json?all=1"))
    return {next(name for name in each if name.count("/") == 1): sorted(each) for each in listed}


def test_environment(cli: DockerCli, api: RawHttp, database: str) -> None:
    out = cli.ok("run", "--rm", "--name", "web", "--link", "db:my-db", "-e", "MY_DB_NAME=own", "busybox", "env")
    address = address_of(api, "db")
    found = {line for line in out.splitlines() if line.startswith("MY_DB")}
    expected = {
        "MY_DB_NAME=own",
        f"MY_DB_PORT=tcp://{address}:53",
        "MY_DB_ENV_FOO=1",
        "MY_DB_ENV_EMPTY=",
        f"MY_DB_PORT_5432_TCP_START=tcp://{address}:5432",
        "MY_DB_PORT_5432_TCP_PORT_START=5432",
        f"MY_DB_PORT_5432_TCP_END=tcp://{address}:5433",
        "MY_DB_PORT_5432_TCP_PORT_END=5433",
    }
    for number, protocol in ((5432, "tcp"), (5433, "tcp"), (53, "tcp"), (53, "udp")):
        name = f"MY_DB_PORT_{number}_{protocol.upper()}"
        expected |= {
            f"{name}={protocol}://{address}:{number}",
            f"{name}_ADDR={address}",
            f"{name}_PORT={number}",
            f"{name}_PROTO={protocol}",
        }
    assert found == expected


def test_exec_knows_it_too(cli: DockerCli, start: Callable[..., str], database: str) -> None:
    start("sleep", "300", name="web", HostConfig={"Links": ["db"]})
    assert "DB_NAME=/web/db" in cli.ok("exec", "web", "env").splitlines()


def test_names_and_inspect(api: RawHttp, start: Callable[..., str], database: str) -> None:
    start("sleep", "300", name="web", HostConfig={"Links": ["db:x", "db", "db:x"]})
    assert sorted(api.get("/containers/web/json")["HostConfig"]["Links"]) == ["/db:/web/db", "/db:/web/x"]
    assert names(api) == {"/web": ["/web"], "/db": ["/db", "/web/db", "/web/x"]}
    assert api.get("/containers/web/x/json")["Id"] == database
    assert api.get("/containers/web%2Fdb/json")["Name"] == "/db"


def test_hosts_file_follows_the_address(cli: DockerCli, api: RawHttp, start: Callable[..., str], database: str) -> None:
    start("sleep", "300", name="web", HostConfig={"Links": ["db:x"]})
    assert f"{address_of(api, 'db')}\tx {database[:12]} db" in cli.ok("exec", "web", "cat", "/etc/hosts").splitlines()
    cli.ok("stop", "-t", "0", "db")
    start("sleep", "300", name="squatter")
    cli.ok("start", "db")
    assert f"{address_of(api, 'db')}\tx {database[:12]} db" in cli.ok("exec", "web", "cat", "/etc/hosts").splitlines()


def test_rename(cli: DockerCli, api: RawHttp, start: Callable[..., str], database: str) -> None:
    start("sleep", "300", name="web", HostConfig={"Links": ["db:x"]})
    cli.ok("rename", "db", "sql")
    assert api.get("/containers/web/json")["HostConfig"]["Links"] == ["/sql:/web/x"]
    cli.ok("rename", "web", "front")
    assert api.get("/containers/front/json")["HostConfig"]["Links"] == ["/sql:/front/x"]
    assert names(api) == {"/front": ["/front"], "/sql": ["/front/x", "/sql"]}


def test_removal(cli: DockerCli, api: RawHttp, start: Callable[..., str], database: str) -> None:
    start("sleep", "300", name="web", HostConfig={"Links": ["db:x", "db:y"]})
    assert cli.ok("rm", "--link", "web/x") == "web/x"
    assert api.get("/containers/web/json")["HostConfig"]["Links"] == ["/db:/web/y"]
    assert api.request("DELETE", "/containers/web/y?link=1").status == 204
    assert names(api) == {"/web": ["/web"], "/db": ["/db"]}
    gone = api.request("DELETE", "/containers/web/x?link=1")
    assert (gone.status, gone.message) == (404, "No such container: web/x")
    own = api.request("DELETE", "/containers/web?link=1")
    assert (own.status, own.message) == (500, "Conflict, cannot remove the default link name of the container")


def test_target_that_does_not_run(cli: DockerCli, api: RawHttp, create: Callable[..., str], database: str) -> None:
    container = create("true", name="web", HostConfig={"Links": ["db:x"]})
    cli.ok("stop", "-t", "0", "db")
    refused = api.post(f"/containers/{container}/start")
    text = "Cannot link to a non running container: /db AS /web/x"
    assert (refused.status, refused.message) == (500, text)
    again = api.post("/containers/web/restart")
    assert (again.status, again.message) == (500, f"Cannot restart container web: {text}")


def test_target_on_another_network(api: RawHttp, create: Callable[..., str], start: Callable[..., str]) -> None:
    target = start("sleep", "300", name="db", HostConfig={"NetworkMode": "none"})
    container = create("true", name="web", HostConfig={"Links": ["db:x"]})
    refused = api.post(f"/containers/{container}/start")
    assert (refused.status, refused.message) == (500, f"container {target} not attached to default bridge network")


def test_own_networks_keep_links_of_their_own(
    cli: DockerCli, api: RawHttp, start: Callable[..., str], create: Callable[..., str]
) -> None:
    cli.ok("network", "create", "linked")
    try:
        start("sleep", "300", name="db", HostConfig={"NetworkMode": "linked"}, Env=["FOO=1"])
        cli.ok("run", "-d", "--name", "web", "--network", "linked", "--link", "db:x", "busybox", "sleep", "300")
        found = api.get("/containers/web/json")
        assert found["HostConfig"]["Links"] is None
        assert found["NetworkSettings"]["Networks"]["linked"]["Links"] == ["db:x"]
        assert "X_ENV_FOO" not in cli.ok("exec", "web", "env")
        container = create("true", HostConfig={"NetworkMode": "linked", "Links": ["db:y"]})
        assert api.get(f"/containers/{container}/json")["HostConfig"]["Links"] is None
    finally:
        cli.run("rm", "-f", "web", "db")
        cli.run("network", "rm", "-f", "linked")
