"""`docker pull` from real and from misbehaving registries."""

import base64
import json
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import DOCKER_MANIFEST, OCI_MANIFEST, Image, Index, Layer, directory, file, tar
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.registry import PASSWORD, USER, Registry, StubRegistry
from compat_tests.clients.waiting import eventually


@pytest.fixture(autouse=True)
def no_images_left(engine: Daemon) -> Iterator[None]:
    yield
    for image in engine.api.get("/images/json"):
        if "busybox:latest" not in image["RepoTags"]:
            for name in image["RepoTags"] or [image["Id"]]:
                engine.api.request("DELETE", f"/images/{name}?force=1")


def unique(text: str, compression: str = "gzip") -> Layer:
    return Layer(tar([directory("opt"), file(f"opt/{text}", text.encode())]), compression)


def pull(api: RawHttp, reference: str, auth: dict[str, str] | None = None) -> list[dict[str, Any]]:
    headers = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()} if auth else {}
    answer = api.request("POST", f"/images/create?fromImage={urllib.parse.quote(reference, safe='')}", headers=headers)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/json"
    return [json.loads(line) for line in answer.body.splitlines()]


def test_by_tag(cli: DockerCli, registry: Registry) -> None:
    image = imagefiles.derived(unique("by-tag"), unique("second"))
    name = registry.push(image, "tests/by-tag", "1")
    out = cli.ok("pull", f"{name}:1")
    top = imagefiles.digest(image.manifest)
    assert out.splitlines()[0] == "1: Pulling from tests/by-tag"
    assert f"Digest: {top}\nStatus: Downloaded newer image for {name}:1\n{name}:1" in out
    assert out.count(": Pull complete") + out.count(": Already exists") >= 2
    assert cli.ok("run", "--rm", f"{name}:1", "cat", "/opt/by-tag", "/opt/second") == "by-tagsecond"
    again = cli.ok("pull", f"{name}:1")
    assert f"Status: Image is up to date for {name}:1" in again
    assert cli.ok("inspect", "-f", "{{.Id}} {{.RepoDigests}}", f"{name}:1") == f"{top} [{name}@{top}]"


def test_latest_is_the_default(cli: DockerCli, registry: Registry) -> None:
    name = registry.push(imagefiles.derived(unique("latest")), "tests/default", "latest")
    assert "Using default tag: latest" in cli.ok("pull", name)
    assert cli.ok("pull", "-q", name) == f"{name}:latest"


def test_by_digest(cli: DockerCli, registry: Registry) -> None:
    image = imagefiles.derived(unique("by-digest"))
    name = registry.push(image, "tests/by-digest", "1")
    reference = f"{name}@{imagefiles.digest(image.manifest)}"
    assert f"Status: Downloaded newer image for {reference}" in cli.ok("pull", reference)
    assert cli.ok("run", "--rm", reference, "cat", "/opt/by-digest") == "by-digest"
    cli.ok("rmi", reference)


@pytest.mark.parametrize(
    ("media_type", "compression"),
    [
        (OCI_MANIFEST, "gzip"),
        (OCI_MANIFEST, "zstd"),
        (OCI_MANIFEST, "none"),
        (OCI_MANIFEST, "zstd:chunked"),
        (OCI_MANIFEST, "estargz"),
        (DOCKER_MANIFEST, "gzip"),
        (DOCKER_MANIFEST, "none"),
        (DOCKER_MANIFEST, "estargz"),
    ],
)
def test_formats(cli: DockerCli, registry: Registry, media_type: str, compression: str) -> None:
    base = Layer(imagefiles.busybox().layers[0].tar, compression)
    image = Image((base, unique("format", compression)), {"Cmd": ["cat", "/opt/format"]}, media_type=media_type)
    name = registry.push(image, f"tests/format-{compression.replace(':', '-')}", "1")
    cli.ok("pull", f"{name}:1")
    assert cli.ok("run", "--rm", f"{name}:1") == "format"


@pytest.mark.cli_since("28.0")
def test_index_gives_this_platform(cli: DockerCli, registry: Registry) -> None:
    ours = imagefiles.derived(unique("amd64"))
    other = Image((*imagefiles.busybox().layers, unique("arm64")), imagefiles.busybox().config, architecture="arm64")
    name = registry.push(Index((other, ours)), "tests/multi", "1")
    cli.ok("pull", f"{name}:1")
    assert cli.ok("run", "--rm", f"{name}:1", "ls", "/opt").splitlines() == ["amd64", "data"]
    cli.ok("pull", "--platform", "linux/arm64", f"{name}:1")
    assert cli.ok("image", "inspect", "--platform", "linux/arm64", "-f", "{{.Architecture}}", f"{name}:1") == "arm64"


def test_platform_that_is_not_there(cli: DockerCli, registry: Registry) -> None:
    name = registry.push(Index((imagefiles.derived(unique("only")),)), "tests/only", "1")
    assert "no match for platform in manifest" in cli.fails("pull", "--platform", "linux/s390x", f"{name}:1")


def test_all_tags(cli: DockerCli, registry: Registry) -> None:
    name = registry.push(imagefiles.derived(unique("tags")), "tests/tags", "1", "2", "3")
    cli.ok("pull", "-a", name)
    assert sorted(cli.ok("images", "--format", "{{.Tag}}", name).split()) == ["1", "2", "3"]


def test_whiteouts(cli: DockerCli, registry: Registry) -> None:
    first = Layer(
        tar(
            [
                directory("w"),
                file("w/gone", b"x"),
                file("w/kept", b"y"),
                directory("w/opaque"),
                file("w/opaque/old", b"z"),
            ]
        )
    )
    second = Layer(
        tar([file("w/.wh.gone"), directory("w/opaque"), file("w/opaque/.wh..wh..opq"), file("w/opaque/new", b"n")])
    )
    name = registry.push(imagefiles.derived(first, second), "tests/whiteouts", "1")
    assert cli.ok("run", "--rm", f"{name}:1", "find", "/w").splitlines() == [
        "/w",
        "/w/kept",
        "/w/opaque",
        "/w/opaque/new",
    ]


@pytest.mark.parametrize("reference", ["tests/nosuch:1", "tests/missing-tag:9"])
def test_not_found(cli: DockerCli, registry: Registry, reference: str) -> None:
    registry.push(imagefiles.derived(unique("missing-tag")), "tests/missing-tag", "1")
    result = cli.run("pull", f"{registry.address}/{reference}")
    assert result.code == 1
    assert result.err.startswith("Error response from daemon: ")
    assert "not found" in result.err


def test_registry_that_is_down(api: RawHttp) -> None:
    answer = api.post("/images/create?fromImage=127.0.0.1:1/x&tag=1")
    assert answer.status == 500
    assert "connect: connection refused" in answer.message


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("BAD", "invalid reference format: repository name (library/BAD) must be lowercase"),
        ("x:::", "invalid reference format"),
    ],
)
def test_bad_reference(api: RawHttp, reference: str, message: str) -> None:
    answer = api.post(f"/images/create?fromImage={reference}")
    assert (answer.status, answer.message) == (400, message)


def test_progress_lines(api: RawHttp, registry: Registry) -> None:
    layer = Layer(tar([file("big", imagefiles.noise(3_000_000))]))
    name = registry.push(imagefiles.derived(layer), "tests/progress", "1")
    lines = pull(api, f"{name}:1")
    assert lines[0] == {"status": "Pulling from tests/progress", "id": "1"}
    key = imagefiles.digest(layer.blob)[7:19]
    mine = [line for line in lines if line.get("id") == key]
    assert mine[0]["status"] == "Pulling fs layer"
    assert mine[0]["progressDetail"] == {}
    assert mine[-1]["status"] == "Pull complete"
    downloads = [line for line in mine if line["status"] == "Downloading"]
    assert all(line["progressDetail"]["total"] == len(layer.blob) for line in downloads)
    assert {"Download complete"} <= {line["status"] for line in mine}
    assert lines[-2]["status"].startswith("Digest: sha256:")
    assert lines[-1]["status"] == f"Status: Downloaded newer image for {name}:1"


def test_basic_auth(cli: DockerCli, private_registry: Registry) -> None:
    name = private_registry.push(imagefiles.derived(unique("private")), "tests/private", "1")
    assert "no basic auth credentials" in cli.fails("pull", f"{name}:1")
    bad = cli.fails("login", "-u", USER, "-p", "wrong", private_registry.address)
    assert "unauthorized" in bad.lower()
    assert "Login Succeeded" in cli.ok("login", "-u", USER, "-p", PASSWORD, private_registry.address)
    try:
        cli.ok("pull", f"{name}:1")
        assert cli.ok("run", "--rm", f"{name}:1", "cat", "/opt/private") == "private"
    finally:
        cli.ok("logout", private_registry.address)


def test_bearer_token(api: RawHttp, stub_registry: StubRegistry) -> None:
    stub_registry.token = "let-me-in"
    name = stub_registry.add(imagefiles.derived(unique("token")), "tests/token", "1")
    lines = pull(api, name, {"username": USER, "password": PASSWORD, "serveraddress": stub_registry.address})
    assert lines[-1]["status"] == f"Status: Downloaded newer image for {name}"
    refused = api.post(f"/images/create?fromImage={stub_registry.address}/tests/other&tag=1")
    assert refused.status >= 400


def test_resumes_after_a_cut(api: RawHttp, cli: DockerCli, stub_registry: StubRegistry) -> None:
    layer = Layer(tar([file("big", imagefiles.noise(4_000_000))]))
    key = imagefiles.digest(layer.blob)
    name = stub_registry.add(imagefiles.derived(layer), "tests/cut", "1")
    stub_registry.cut[key] = [1_500_000]
    lines = pull(api, name)
    if "errorDetail" in lines[-1]:  # dockerd gives up, and the next pull goes on
        lines = pull(api, name)
    assert lines[-1]["status"] == f"Status: Downloaded newer image for {name}"
    assert stub_registry.fetched[key] >= 2
    assert any(not wanted.startswith("bytes=0-") for wanted in stub_registry.ranges)
    assert cli.ok("run", "--rm", name, "sh", "-c", "wc -c < /big") == "4000000"


def test_a_wrong_digest_leaves_nothing(api: RawHttp, cli: DockerCli, stub_registry: StubRegistry) -> None:
    layer = Layer(tar([file("wrong", imagefiles.noise(100_000))]))
    image = imagefiles.derived(layer)
    name = stub_registry.add(image, "tests/wrong", "1")
    stub_registry.wrong.add(imagefiles.digest(layer.blob))
    lines = pull(api, name)
    assert "errorDetail" in lines[-1]
    assert lines[-1]["error"] == lines[-1]["errorDetail"]["message"]
    assert api.request("GET", f"/images/{name}/json").status == 404
    stub_registry.wrong.clear()
    # dockerd keeps the bad bytes, finds them bad again, and only then fetches anew.
    attempts = [pull(api, name)[-1].get("status") for _ in range(4)]
    assert f"Status: Downloaded newer image for {name}" in attempts


def test_two_pulls_share_the_work(api: RawHttp, stub_registry: StubRegistry) -> None:
    layer = Layer(tar([file("shared", imagefiles.noise(200_000))]))
    key = imagefiles.digest(layer.blob)
    name = stub_registry.add(imagefiles.derived(layer), "tests/shared", "1")
    stub_registry.held.add(key)
    stub_registry.gate.clear()
    answers: list[list[dict[str, Any]]] = []
    threads = [threading.Thread(target=lambda: answers.append(pull(api, name))) for _ in range(2)]
    for thread in threads:
        thread.start()
    eventually(lambda: stub_registry.fetched[key] >= 1)
    eventually(lambda: len([seen for seen in stub_registry.seen if "/manifests/" in seen]) >= 2)
    stub_registry.gate.set()
    for thread in threads:
        thread.join()
    assert stub_registry.fetched[key] == 1
    assert [lines[-1]["status"] for lines in answers].count(f"Status: Downloaded newer image for {name}") >= 1


def test_a_client_that_leaves_stops_the_pull(api: RawHttp, engine: Daemon, stub_registry: StubRegistry) -> None:
    layer = Layer(tar([file("left", imagefiles.noise(200_000))]))
    name = stub_registry.add(imagefiles.derived(layer), "tests/left", "1")
    stub_registry.held.add(imagefiles.digest(layer.blob))
    stub_registry.gate.clear()
    stream = api.stream("POST", f"/images/create?fromImage={urllib.parse.quote(name, safe='')}")
    stream.read()
    eventually(lambda: stub_registry.fetched[imagefiles.digest(layer.blob)] == 1)
    stream.close()
    stub_registry.gate.set()
    assert api.request("GET", f"/images/{name}/json").status == 404
    assert pull(api, name)[-1]["status"] == f"Status: Downloaded newer image for {name}"


def test_run_pulls_what_is_missing(cli: DockerCli, registry: Registry) -> None:
    name = registry.push(imagefiles.derived(unique("on-run")), "tests/on-run", "1")
    result = cli.run("run", "--rm", f"{name}:1", "cat", "/opt/on-run")
    assert (result.code, result.out) == (0, "on-run")
    assert result.err.startswith(f"Unable to find image '{name}:1' locally\n1: Pulling from tests/on-run\n")
    assert result.err.endswith(f"Status: Downloaded newer image for {name}:1\n")
