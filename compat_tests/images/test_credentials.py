"""Who may log in, pull and push: registries with passwords and with token servers; dockerd's words for who may not."""

import base64
import json
from collections.abc import Callable, Iterator

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.imagefiles import Image, Layer, file, tar
from compat_tests.clients.rawhttp import Answer, RawHttp
from compat_tests.clients.registry import PASSWORD, USER, Registry
from compat_tests.clients.secure_registry import ServedRegistry, TokenServer

Load = Callable[[Image, str], None]
IMAGE = Image((Layer(tar([file("secret", b"s")])),), {"Cmd": ["/secret"]})
WRONG = "error from registry: incorrect username or password"
NO_SCOPE = (
    "push access denied, repository does not exist or may require authorization: "
    "server message: insufficient_scope: authorization failed"
)
NOTHING = "authorization failed: no basic auth credentials"


def header(address: str, password: str = PASSWORD, user: str = USER) -> dict[str, str]:
    value = {"username": user, "password": password, "serveraddress": address}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(value).encode()).decode()}


def pull(api: RawHttp, name: str, headers: dict[str, str], tag: str = "1") -> Answer:
    return api.request("POST", f"/images/create?fromImage={name}&tag={tag}", headers=headers)


def push(api: RawHttp, name: str, headers: dict[str, str]) -> str:
    """The error in the stream, empty where there is none."""
    answer = api.request("POST", f"/images/{name}/push?tag=1", headers={"X-Registry-Auth": "e30=", **headers})
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert lines[0] == {"status": f"The push refers to repository [{name}]"}
    return str(lines[-1].get("error", ""))


def described(api: RawHttp, name: str, headers: dict[str, str]) -> tuple[int, str]:
    answer = api.request("GET", f"/distribution/{name}:1/json", headers=headers)
    return answer.status, answer.message


@pytest.fixture
def pushed(api: RawHttp, load: Load) -> Iterator[Callable[[str], None]]:
    """`pushed(name)`: the image has that name here."""

    def named(name: str) -> None:
        load(IMAGE, "secret:1")
        assert api.post(f"/images/secret:1/tag?repo={name}&tag=1").status == 201

    yield named


@pytest.mark.parametrize("form", ["{}", "https://{}/v1/", "http://{}"])
def test_login_at_a_token_server(api: RawHttp, token_registry: ServedRegistry, form: str) -> None:
    address = token_registry.address
    body = {"username": USER, "password": PASSWORD, "serveraddress": form.format(address)}
    assert api.post("/auth", body).json() == {"IdentityToken": "", "Status": "Login Succeeded"}
    answer = api.post("/auth", {**body, "password": "wrong"})
    assert answer.status == 401
    assert answer.message == f'Get "http://{address}/v2/": unauthorized: incorrect username or password'


def test_login_with_a_password(api: RawHttp, private_registry: Registry) -> None:
    address = private_registry.address
    body = {"username": USER, "password": PASSWORD, "serveraddress": address}
    assert api.post("/auth", body).json() == {"IdentityToken": "", "Status": "Login Succeeded"}
    answer = api.post("/auth", {**body, "password": "wrong"})
    text = f"login attempt to http://{address}/v2/ failed with status: 401 Unauthorized"
    assert (answer.status, answer.message) == (500, text)
    answer = api.post("/auth", {"username": "", "password": "", "serveraddress": address})
    assert (answer.status, answer.message) == (500, f'Get "http://{address}/v2/": no basic auth credentials')


def test_login_where_nobody_asks(api: RawHttp, registry: Registry) -> None:
    body = {"username": USER, "password": "any", "serveraddress": registry.address}
    assert api.post("/auth", body).json()["Status"] == "Login Succeeded"
    answer = api.post("/auth", {**body, "serveraddress": "127.0.0.1:1"})
    text = 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'
    assert (answer.status, answer.message) == (500, text)


def test_the_cli_says_so(cli: DockerCli, token_registry: ServedRegistry) -> None:
    found = cli.fails("login", "-u", USER, "-p", "wrong", token_registry.address)
    assert f'Get "http://{token_registry.address}/v2/": unauthorized: incorrect username or password' in found


def test_pull_from_a_token_server(api: RawHttp, token_registry: ServedRegistry) -> None:
    address = token_registry.address
    name = f"{address}/team/none"
    denied = f"pull access denied for {name}, repository does not exist or may require 'docker login'"
    answer = pull(api, name, {})
    assert (answer.status, answer.message) == (404, denied)
    answer = pull(api, name, {}, tag="")
    assert (answer.status, answer.message) == (404, f"{denied}: denied: requested access to the resource is denied")
    answer = pull(api, name, header(address, "wrong"))
    assert (answer.status, answer.message) == (401, WRONG)
    answer = pull(api, name, header(address, "wrong"), tag="")
    text = f'Get "http://{name.replace("/", "/v2/", 1)}/tags/list": unauthorized: incorrect username or password'
    assert (answer.status, answer.message) == (401, text)
    answer = pull(api, name, header(address))
    assert (answer.status, answer.message) == (404, f'failed to resolve reference "{name}:1": {name}:1: not found')


def test_distribution_of_a_token_server(api: RawHttp, token_registry: ServedRegistry) -> None:
    address = token_registry.address
    name = f"{address}/team/none"
    text = "errors:\ndenied: requested access to the resource is denied\nunauthorized: authentication required\n"
    assert described(api, name, {}) == (403, text)
    text = f'Head "http://{address}/v2/team/none/manifests/1": unauthorized: incorrect username or password'
    assert described(api, name, header(address, "wrong")) == (401, text)
    assert described(api, name, header(address)) == (404, "manifest unknown: manifest unknown")


def test_pull_and_distribution_with_a_password(api: RawHttp, private_registry: Registry) -> None:
    address = private_registry.address
    name = private_registry.push(IMAGE, "team/secret", "1")
    failed = f'failed to resolve reference "{name}:1": '
    url = f"http://{address}/v2/team/secret/manifests/1"
    answer = pull(api, name, {})
    denied = f"pull access denied, repository does not exist or may require authorization: {NOTHING}"
    assert (answer.status, answer.message) == (500, failed + denied)
    answer = pull(api, name, header(address, "wrong"))
    text = f"unknown: {failed}unexpected status from HEAD request to {url}: 401 Unauthorized"
    assert (answer.status, answer.message) == (500, text)
    assert described(api, name, {}) == (500, f'Head "{url}": no basic auth credentials')
    assert described(api, name, header(address, "wrong")) == (401, "unauthorized: authentication required")
    assert b"Status: Downloaded newer image" in pull(api, name, header(address)).body


def test_credentials_for_another_registry_are_not_shown(api: RawHttp, private_registry: Registry) -> None:
    name = private_registry.push(IMAGE, "team/others", "1")
    answer = pull(api, name, header("elsewhere.example"))
    assert (answer.status, answer.message.endswith(NOTHING)) == (500, True)


def test_push_to_a_token_server(
    api: RawHttp, token_registry: ServedRegistry, tokens: TokenServer, pushed: Callable[[str], None]
) -> None:
    name = f"{token_registry.address}/team/pushed"
    pushed(name)
    assert push(api, name, {}) == NO_SCOPE
    assert push(api, name, {"X-Registry-Auth": "rubbish!"}) == NO_SCOPE
    assert push(api, name, header(token_registry.address, "wrong")) == WRONG
    assert push(api, name, header(token_registry.address)) == ""
    assert any(scope.startswith("repository:team/pushed:") and "push" in scope for scope in tokens.asked)


def test_push_with_a_password(api: RawHttp, private_registry: Registry, pushed: Callable[[str], None]) -> None:
    name = f"{private_registry.address}/team/pushed"
    pushed(name)
    denied = f"push access denied, repository does not exist or may require authorization: {NOTHING}"
    assert push(api, name, {}) == denied
    assert push(api, name, header("elsewhere.example")) == denied
    assert "401 Unauthorized" in push(api, name, header(private_registry.address, "wrong"))
    assert push(api, name, header(private_registry.address)) == ""


@pytest.mark.parametrize(
    ("path", "repository", "message"),
    [
        ("nosuch/push?tag=1", "docker.io/library/nosuch", "tag does not exist: nosuch:1"),
        ("nosuch/push", "docker.io/library/nosuch", "An image does not exist locally with the tag: nosuch"),
        (f"a/b@sha256:{'0' * 64}/push", "docker.io/a/b", f"tag does not exist: a/b@sha256:{'0' * 64}"),
    ],
)
def test_push_of_nothing(api: RawHttp, path: str, repository: str, message: str) -> None:
    answer = api.request("POST", f"/images/{path}", headers={"X-Registry-Auth": "e30="})
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert lines == [
        {"status": f"The push refers to repository [{repository}]"},
        {"errorDetail": {"message": message}, "error": message},
    ]


def test_blobs_are_mounted_from_where_they_came(cli: DockerCli, registry: Registry) -> None:
    """Also when the image has lost the name under which it was pulled, and the daemon knows it from before."""
    image = imagefiles.derived(Layer(tar([file("mounted", imagefiles.noise(50_000))])))
    name = registry.push(image, "mounts/from", "1")
    cli.ok("pull", f"{name}:1")
    other = f"{registry.address}/mounts/to:1"
    cli.ok("tag", f"{name}:1", other)
    cli.ok("rmi", f"{name}:1")
    assert "Mounted from mounts/from" in cli.ok("push", other)
