"""`docker ps`: fields and every filter."""

import json
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually


@pytest.fixture
def zoo(cli: DockerCli) -> None:
    """running, paused, exited (code 3), created."""
    cli.ok(
        "run",
        "-d",
        "--name",
        "running",
        "-l",
        "kind=a",
        "-l",
        "only",
        "-p",
        "127.0.0.1::80",
        "-v",
        "zoo:/data",
        "busybox",
        "sleep",
        "60",
    )
    cli.ok("run", "-d", "--name", "paused", "-l", "kind=b", "busybox", "sleep", "60")
    cli.ok("pause", "paused")
    assert cli.run("run", "--name", "exited", "--network", "none", "busybox", "sh", "-c", "exit 3").code == 3
    cli.ok("create", "--name", "created", "--network", "host", "busybox", "true")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "created exited paused running"),
        ({"status": ["running"]}, "running"),
        ({"status": ["paused", "created"]}, "created paused"),
        ({"status": ["exited"]}, "exited"),
        ({"exited": ["3"]}, "exited"),
        ({"exited": ["0"]}, ""),
        ({"name": ["run"]}, "running"),
        ({"name": ["^/exited$"]}, "exited"),
        ({"name": ["ed$"]}, "created exited paused"),
        ({"label": ["kind"]}, "paused running"),
        ({"label": ["kind=a"]}, "running"),
        ({"label": ["kind=a", "only"]}, "running"),
        ({"label": {"kind=b": True}}, "paused"),
        ({"ancestor": ["busybox"]}, "created exited paused running"),
        ({"ancestor": ["nosuchimage"]}, ""),
        ({"network": ["none"]}, "exited"),
        ({"network": ["host"]}, "created"),
        ({"network": ["bridge"]}, "paused running"),
        ({"volume": ["zoo"]}, "running"),
        ({"volume": ["/data"]}, "running"),
        ({"publish": ["80"]}, ""),
        ({"expose": ["80/tcp"]}, "running"),
        ({"before": ["paused"]}, "running"),
        ({"since": ["paused"]}, "created exited"),
        ({"health": ["none"]}, "created exited paused running"),
        ({"is-task": ["false"]}, "created exited paused running"),
    ],
    ids=json.dumps,
)
def test_filters(api: RawHttp, zoo: None, filters: dict[str, Any], expected: str) -> None:
    found = api.get(f"/containers/json?all=1&filters={urllib.parse.quote(json.dumps(filters))}")
    assert " ".join(sorted(container["Names"][0].lstrip("/") for container in found)) == expected


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ('{"status":["bogus"]}', "invalid filter 'status=bogus'"),
        ('{"bogus":["x"]}', "invalid filter 'bogus'"),
        ("notjson", "invalid filter"),
        ('{"before":["nosuch"]}', "No such container: nosuch"),
    ],
)
def test_bad_filters(api: RawHttp, filters: str, message: str) -> None:
    answer = api.request("GET", f"/containers/json?filters={urllib.parse.quote(filters)}")
    assert answer.status in (400, 404)
    assert answer.message.startswith(message)


def test_only_running_ones_unless_asked(cli: DockerCli, zoo: None) -> None:
    assert cli.ok("ps", "--format", "{{.Names}}").split() == ["paused", "running"]
    assert cli.ok("ps", "-a", "--format", "{{.Names}}").split() == ["created", "exited", "paused", "running"]
    assert cli.ok("ps", "-n", "2", "--format", "{{.Names}}").split() == ["created", "exited"]
    assert cli.ok("ps", "-l", "--format", "{{.Names}}").split() == ["created"]


def test_summary(api: RawHttp, zoo: None) -> None:
    found = {container["Names"][0]: container for container in api.get("/containers/json?all=1&size=1")}
    running = found["/running"]
    assert running["Image"] == "busybox"
    assert running["ImageID"].startswith("sha256:")
    assert running["Command"] == "sleep 60"
    assert isinstance(running["Created"], int)
    assert running["State"] == "running"
    assert running["Status"].startswith("Up ")
    port = running["Ports"][0]
    assert (port["IP"], port["PrivatePort"], port["Type"]) == ("127.0.0.1", 80, "tcp")
    assert running["Labels"] == {"kind": "a", "only": ""}
    assert running["Mounts"][0]["Name"] == "zoo"
    assert running["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].startswith("10.")
    assert running["SizeRootFs"] > 0
    assert found["/paused"]["Status"].endswith("(Paused)")
    assert found["/exited"]["Status"].startswith("Exited (3) ")
    assert found["/created"]["Status"] == "Created"
    assert found["/created"]["HostConfig"]["NetworkMode"] == "host"


def test_prefixes_and_names_address_a_container(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "60", name="web")
    for name in (container, container[:12], container[:5], "web"):
        assert api.get(f"/containers/{name}/json")["Id"] == container


def test_size_of_what_was_written(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "big", "busybox", "sh", "-c", "head -c 300000 /dev/urandom > /f; sync; sleep 60")
    assert eventually(lambda: api.get("/containers/big/json?size=1")["SizeRw"] >= 300_000)
    assert api.get("/containers/big/json?size=1")["SizeRootFs"] > 300_000
    assert "SizeRw" not in api.get("/containers/big/json")
