"""`/version`, version negotiation, and paths that do not exist."""

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp


def test_cli_prints_client_and_server(cli: DockerCli) -> None:
    assert (
        cli.ok("version", "--format", "{{.Server.APIVersion}} {{.Server.MinAPIVersion}} {{.Server.Os}}")
        == "1.51 1.24 linux"
    )
    assert "Server:" in cli.ok("version")


def test_what_clients_read(api: RawHttp) -> None:
    version = api.get("/version")
    assert version["ApiVersion"] == "1.51"
    assert version["MinAPIVersion"] == "1.24"
    assert version["Arch"] == "amd64"
    assert version["KernelVersion"]
    engine = version["Components"][0]
    assert engine["Name"] == "Engine"
    assert engine["Details"]["ApiVersion"] == "1.51"
    assert engine["Version"] == version["Version"]


@pytest.mark.parametrize("version", ["1.24", "1.30", "1.40", "1.41", "1.43", "1.44", "1.47", "1.51"])
def test_the_cli_may_speak_any_version(cli: DockerCli, version: str) -> None:
    cli.environment["DOCKER_API_VERSION"] = version
    try:
        assert cli.ok("version", "--format", "{{.Client.APIVersion}}") == version
        assert cli.ok("ps", "-aq") == ""
        assert cli.ok("run", "--rm", "busybox", "echo", "hello") == "hello"
    finally:
        del cli.environment["DOCKER_API_VERSION"]


def test_too_new(api: RawHttp) -> None:
    answer = api.request("GET", "/v1.52/containers/json")
    assert answer.status == 400
    assert answer.message == "client version 1.52 is too new. Maximum supported API version is 1.51"


@pytest.mark.parametrize("version", ["1.23", "1.9"])
def test_too_old(api: RawHttp, version: str) -> None:
    answer = api.request("GET", f"/v{version}/containers/json")
    assert answer.status == 400
    wanted = f"client version {version} is too old. Minimum supported API version is 1.24, "
    assert wanted + "please upgrade your client to a newer version" in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nosuch"),
        ("PUT", "/v1.45/containers/json"),
        ("DELETE", "/version"),
        ("GET", "/v1.45/"),
        ("GET", "/containers/x/nosuch"),
    ],
)
def test_unknown_path_or_method(api: RawHttp, method: str, path: str) -> None:
    answer = api.request(method, path)
    assert (answer.status, answer.message) == (404, "page not found")
    assert answer.headers["content-type"] == "application/json"


def test_options_is_answered_on_any_path(api: RawHttp) -> None:
    answer = api.request("OPTIONS", "/v1.45/containers/json")
    assert (answer.status, answer.body) == (200, b"")


def test_every_answer_carries_the_common_headers(api: RawHttp) -> None:
    for path in ("/containers/json", "/containers/nosuch/json", "/v1.30/containers/nosuch/json", "/info"):
        headers = api.request("GET", path).headers
        assert headers["api-version"] == "1.51", path
        assert headers["ostype"] == "linux", path
        assert headers["docker-experimental"] == "false", path
        assert headers["server"], path


def test_an_empty_host_is_accepted(api: RawHttp) -> None:
    with api.exchange(b"GET /_ping HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n") as answer:
        assert answer.status == 200


def test_requests_on_one_connection(api: RawHttp) -> None:
    with api.exchange(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n") as answer:
        assert answer.status == 200
        answer.read_exactly(2)
        answer.send(b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        assert answer.read_all().startswith(b"HTTP/1.1 200 OK\r\n")
