"""Other published ports for a container that exists, at once where it runs: Wharf's own extension of update."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import Answer, RawHttp
from compat_tests.clients.waiting import eventually

pytestmark = pytest.mark.wharfd_only("dockerd ignores PortBindings in an update")

SERVE = "while true; do echo hello | nc -l -p 80; done"


def _update(api: RawHttp, container: str, **ports: list[dict[str, str]]) -> Answer:
    bindings = {f"{name[1:]}/tcp": value for name, value in ports.items()}
    return api.post(f"/containers/{container}/update", {"PortBindings": bindings})


def _published(api: RawHttp, container: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/containers/{container}/json")["NetworkSettings"]["Ports"]
    return found


def _reaches(engine: Daemon, port: int) -> bool:
    def attempt() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as connection:
                return connection.recv(100) == b"hello\n"
        except OSError:
            return False

    return engine.namespaces.call(attempt)


def _loopback(port: str = "") -> list[dict[str, str]]:
    return [{"HostIp": "127.0.0.1", "HostPort": port}]


def test_a_running_container_gets_and_loses_ports(api: RawHttp, start: Callable[..., str], engine: Daemon) -> None:
    container = start("sh", "-c", SERVE, name="web")
    pid = api.get(f"/containers/{container}/json")["State"]["Pid"]
    answer = _update(api, container, p80=_loopback())
    assert (answer.status, answer.json()) == (200, {"Warnings": None})
    (binding,) = _published(api, container)["80/tcp"]
    port = int(binding["HostPort"])
    eventually(lambda: _reaches(engine, port))
    found = api.get(f"/containers/{container}/json")
    assert found["HostConfig"]["PortBindings"] == {"80/tcp": _loopback()}
    assert found["State"]["Pid"] == pid
    (listed,) = api.get("/containers/json")
    assert listed["Ports"] == [{"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": port, "Type": "tcp"}]
    assert api.post(f"/containers/{container}/update", {"PortBindings": {}}).status == 200
    assert _published(api, container) == {}
    assert not _reaches(engine, port)


def test_what_stays_is_not_touched_and_what_moves_is_taken_over(
    api: RawHttp, start: Callable[..., str], engine: Daemon
) -> None:
    container = start("sh", "-c", SERVE, HostConfig={"PortBindings": {"80/tcp": _loopback(), "81/tcp": _loopback()}})
    before = _published(api, container)
    moved = before["81/tcp"][0]["HostPort"]
    assert _update(api, container, p80=_loopback()).status == 200
    assert _published(api, container) == {"80/tcp": before["80/tcp"]}
    assert _update(api, container, p80=[*_loopback(), *_loopback(moved)]).status == 200
    assert [b["HostPort"] for b in _published(api, container)["80/tcp"]] == [before["80/tcp"][0]["HostPort"], moved]
    eventually(lambda: _reaches(engine, int(moved)))


def test_ports_outlive_restarts(api: RawHttp, start: Callable[..., str], engine: Daemon) -> None:
    container = start("sh", "-c", SERVE)
    assert _update(api, container, p80=_loopback("23456")).status == 200

    def kill() -> None:
        engine.kill()
        engine.start()

    for restart in (lambda: api.post(f"/containers/{container}/restart?t=0"), engine.restart, kill):
        restart()
        assert _published(api, container) == {"80/tcp": _loopback("23456")}
        eventually(lambda: _reaches(engine, 23456))
    assert _update(api, container, p80=_loopback("23457")).status == 200
    eventually(lambda: _reaches(engine, 23457))
    assert not _reaches(engine, 23456)


def test_a_conflict_changes_nothing(api: RawHttp, start: Callable[..., str], engine: Daemon) -> None:
    other = start("sleep", "600", HostConfig={"PortBindings": {"80/tcp": _loopback()}})
    taken = _published(api, other)["80/tcp"][0]["HostPort"]
    container = start("sh", "-c", SERVE, name="web", HostConfig={"PortBindings": {"80/tcp": _loopback()}})
    before = api.get(f"/containers/{container}/json")
    answer = _update(api, container, p79=_loopback("23458"), p80=_loopback(taken))
    assert answer.status == 500
    assert answer.message.startswith("driver failed programming external connectivity on endpoint web (")
    assert answer.message.endswith(f"Bind for 127.0.0.1:{taken} failed: port is already allocated")
    after = api.get(f"/containers/{container}/json")
    assert (after["HostConfig"], after["NetworkSettings"]) == (before["HostConfig"], before["NetworkSettings"])
    eventually(lambda: _reaches(engine, int(before["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])))
    assert _update(api, other, p80=_loopback("23458")).status == 200, "the port of the failed attempt is free"


def test_a_stopped_container_has_them_from_its_next_start_on(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("sleep", "600")
    assert _update(api, container, p80=_loopback("23459")).status == 200
    assert _published(api, container) == {}
    assert api.post(f"/containers/{container}/start").status == 204
    assert _published(api, container) == {"80/tcp": _loopback("23459")}


def test_what_cannot_be_published(api: RawHttp, cli: DockerCli, start: Callable[..., str]) -> None:
    container = start("sleep", "600", name="web")
    refused = _update(api, container, p80=_loopback("x"))
    assert (refused.status, refused.message) == (400, 'invalid port specification: "x"')
    cli.ok("run", "-d", "--name", "guest", "--network", "container:web", "busybox", "sleep", "600")
    shared = _update(api, "guest", p80=_loopback())
    assert (shared.status, shared.message) == (
        400,
        "conflicting options: port publishing and the container type network mode",
    )
