"""Registries as people run them: with passwords, with tokens, behind TLS, as mirrors; push to them, login."""

import base64
import json
import threading
from collections.abc import Callable, Iterator

import docker
import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Image, Index, Layer, file, tar
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.registry import PASSWORD, USER, Registry, StubRegistry
from compat_tests.clients.secure_registry import Authority, ServedRegistry, TokenServer
from compat_tests.conftest import Suite, finish
from compat_tests.images.conftest import CERTIFICATES

Load = Callable[[Image, str], None]


def small(name: str) -> Image:
    return Image((Layer(tar([file(name, name.encode())])),), {"Cmd": [f"/{name}"]})


def inspected(cli: DockerCli, name: str) -> str:
    return cli.ok("inspect", "-f", "{{.Id}}", name)


def test_push_and_pull_again(cli: DockerCli, load: Load, registry: Registry) -> None:
    image = small("pushed")
    load(image, "pushed:1")
    name = f"{registry.address}/push/one:1"
    cli.ok("tag", "pushed:1", name)
    out = cli.ok("push", name)
    top = imagefiles.digest(image.manifest)
    assert out.splitlines()[0] == f"The push refers to repository [{registry.address}/push/one]"
    assert f"1: digest: {top} size: {len(image.manifest)}" in out
    cli.ok("rmi", name, "pushed:1")
    cli.ok("pull", name)
    assert inspected(cli, name) == top


def test_push_of_what_is_there(cli: DockerCli, load: Load, registry: Registry) -> None:
    load(small("twice"), "twice:1")
    name = f"{registry.address}/push/twice:1"
    cli.ok("tag", "twice:1", name)
    cli.ok("push", name)
    assert "Layer already exists" in cli.ok("push", name)


def test_push_all_tags(cli: DockerCli, load: Load, registry: Registry) -> None:
    load(small("all"), "all:1")
    name = f"{registry.address}/push/all"
    for tag in ("1", "2"):
        cli.ok("tag", "all:1", f"{name}:{tag}")
    cli.ok("push", "-a", name)
    cli.ok("rmi", f"{name}:1", f"{name}:2")
    cli.ok("pull", "-a", name)
    assert sorted(cli.ok("images", "--format", "{{.Tag}}", name).split()) == ["1", "2"]


def test_push_of_what_is_not_here(cli: DockerCli, registry: Registry) -> None:
    assert "push/nosuch:1" in cli.fails("push", f"{registry.address}/push/nosuch:1")


def test_push_mounts_across_repositories(cli: DockerCli, registry: Registry) -> None:
    image = imagefiles.derived(Layer(tar([file("mounted", imagefiles.noise(50_000))])))
    name = registry.push(image, "mount/from", "1")
    cli.ok("pull", f"{name}:1")
    other = f"{registry.address}/mount/to:1"
    cli.ok("tag", f"{name}:1", other)
    assert "Mounted from mount/from" in cli.ok("push", other)


def test_push_through_the_sdk(client: docker.DockerClient, load: Load, registry: Registry) -> None:
    image = small("sdk")
    load(image, "sdk:1")
    client.images.get("sdk:1").tag(f"{registry.address}/push/sdk", "1")
    lines = list(client.images.push(f"{registry.address}/push/sdk", "1", stream=True, decode=True))
    expected = {"Tag": "1", "Digest": imagefiles.digest(image.manifest), "Size": len(image.manifest)}
    assert not [line for line in lines if "errorDetail" in line]
    data = client.images.get_registry_data(f"{registry.address}/push/sdk:1")
    assert data.id == expected["Digest"]
    assert client.images.pull(f"{registry.address}/push/sdk", "1").id == expected["Digest"]


def test_distribution(api: RawHttp, registry: Registry) -> None:
    index = Index((small("distributed"), imagefiles.derived()))
    name = registry.push(index, "tests/distribution", "1")
    found = api.get(f"/distribution/{name}:1/json")
    assert found["Descriptor"]["digest"] == imagefiles.digest(index.manifest)
    assert [p["architecture"] for p in found["Platforms"]] == ["amd64", "amd64"]
    assert api.request("GET", f"/distribution/{name}:9/json").status == 404


@pytest.mark.difference("unpadded-auth")
def test_registry_auth_without_padding(api: RawHttp, private_registry: Registry) -> None:
    name = private_registry.push(small("padded"), "tests/padded", "1")
    auth = {"username": USER, "password": PASSWORD, "serveraddress": private_registry.address}
    header = base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()
    answer = api.request(
        "POST", f"/images/create?fromImage={name}&tag=1", headers={"X-Registry-Auth": header.rstrip("=")}
    )
    assert b"Status: Downloaded newer image" in answer.body


def test_wrong_password(api: RawHttp, private_registry: Registry) -> None:
    name = private_registry.push(small("wrong"), "tests/wrong", "1")
    auth = {"username": USER, "password": "wrong", "serveraddress": private_registry.address}
    header = base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()
    answer = api.request("POST", f"/images/create?fromImage={name}&tag=1", headers={"X-Registry-Auth": header})
    assert answer.status == 500 or b"errorDetail" in answer.body
    assert api.request("GET", f"/images/{name}:1/json").status == 404


def test_login_over_the_api(api: RawHttp, private_registry: Registry) -> None:
    auth = {"username": USER, "password": PASSWORD, "serveraddress": private_registry.address}
    answer = api.post("/auth", auth)
    assert (answer.status, answer.json()["Status"]) == (200, "Login Succeeded")
    assert api.post("/auth", {**auth, "password": "wrong"}).status == 500


def test_tokens(cli: DockerCli, load: Load, token_registry: ServedRegistry, tokens: TokenServer) -> None:
    image = small("token")
    load(image, "token:1")
    name = f"{token_registry.address}/team/token:1"
    cli.ok("tag", "token:1", name)
    assert cli.run("push", name).code == 1
    assert "unauthorized" in cli.fails("login", "-u", USER, "-p", "wrong", token_registry.address).lower()
    cli.ok("login", "-u", USER, "-p", PASSWORD, token_registry.address)
    try:
        cli.ok("push", name)
        assert any(s.startswith("repository:team/token:") and "push" in s for s in tokens.asked)
        cli.ok("rmi", name, "token:1")
        cli.ok("pull", name)
        assert inspected(cli, name) == imagefiles.digest(image.manifest)
    finally:
        cli.ok("logout", token_registry.address)
    cli.ok("rmi", name)
    assert cli.run("pull", name).code == 1


def test_tls(cli: DockerCli, load: Load, tls_registry: Callable[..., ServedRegistry], authority: Authority) -> None:
    registry = tls_registry()
    image = small("tls")
    load(image, "tls:1")
    name = f"{registry.address}/tests/tls:1"
    cli.ok("tag", "tls:1", name)
    assert "certificate signed by unknown authority" in cli.fails("push", name)
    own = CERTIFICATES / registry.address
    own.mkdir(parents=True)
    (own / "ca.crt").write_bytes(authority.own.certificate.read_bytes())
    cli.ok("push", name)
    cli.ok("rmi", name, "tls:1")
    cli.ok("pull", name)
    assert inspected(cli, name) == imagefiles.digest(image.manifest)


def test_tls_with_a_certificate_of_the_client(
    cli: DockerCli, load: Load, tls_registry: Callable[..., ServedRegistry], authority: Authority
) -> None:
    registry = tls_registry(clients=True)
    load(small("mutual"), "mutual:1")
    name = f"{registry.address}/tests/mutual:1"
    cli.ok("tag", "mutual:1", name)
    own = CERTIFICATES / registry.address
    own.mkdir(parents=True)
    (own / "ca.crt").write_bytes(authority.own.certificate.read_bytes())
    assert cli.run("push", name).code == 1
    pair = authority.issue("client", "clientAuth")
    (own / "client.cert").write_bytes(pair.certificate.read_bytes())
    (own / "client.key").write_bytes(pair.key.read_bytes())
    cli.ok("push", name)
    cli.ok("rmi", name)
    cli.ok("pull", name)


@pytest.fixture(scope="module")
def mirrored(suite: Suite, engine: Daemon) -> Iterator[tuple[Daemon, StubRegistry]]:
    """An engine with two mirrors of docker.io, of which the first is down."""
    daemon = suite.daemon()
    mirror = StubRegistry(daemon.namespaces)
    arguments = ("--registry-mirror", "http://127.0.0.1:9", "--registry-mirror", f"http://{mirror.address}")
    object.__setattr__(daemon.options, "arguments", (*daemon.options.arguments, *arguments))
    try:
        daemon.start()
        yield daemon, mirror
    finally:
        mirror.close()
        finish(daemon)


def test_mirror(mirrored: tuple[Daemon, StubRegistry]) -> None:
    daemon, mirror = mirrored
    image = small("mirrored")
    mirror.add(image, "library/mirrored", "1")
    daemon.cli.ok("pull", "mirrored:1")
    assert inspected(daemon.cli, "mirrored:1") == imagefiles.digest(image.manifest)
    assert mirror.seen


def test_concurrent_pulls_of_one_base(cli: DockerCli, stub_registry: StubRegistry) -> None:
    """Images that share a layer, pulled at once: it is fetched once."""
    shared = Layer(tar([file("shared", imagefiles.noise(300_000))]))
    names = []
    for number in range(4):
        own = Layer(tar([file(f"own{number}", imagefiles.noise(1000 + number))]))
        names.append(stub_registry.add(imagefiles.derived(shared, own), f"tests/c{number}", "1"))
    threads = [threading.Thread(target=cli.ok, args=("pull", name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        assert cli.ok("run", "--rm", name, "sh", "-c", "wc -c < /shared") == "300000"
    assert stub_registry.fetched[imagefiles.digest(shared.blob)] == 1
