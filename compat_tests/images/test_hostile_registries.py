"""Registries that mean harm, or are broken: a clear error soon, no image, no memory spent, nobody told any secret."""

import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import OCI_INDEX, OCI_MANIFEST, Image, Layer, file, tar
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.registry import StubRegistry
from compat_tests.conftest import Suite

Rude = Callable[[BaseHTTPRequestHandler], None]
FAILED = "failed to copy: httpReadSeeker: failed open: "
MEMORY = 100 << 20


@pytest.fixture
def image() -> Image:
    """Of two layers, and unlike that of any other test: what one has fetched must not help another."""
    unique = Layer(tar([file("unique", imagefiles.noise(2000))]))
    return Image((*imagefiles.busybox().layers, unique), {"Cmd": [imagefiles.noise(8).hex()]})


@pytest.fixture(scope="module")
def daemon(suite: Suite) -> Iterator[Daemon]:
    """One of our own: what a failed pull has fetched is kept for the next attempt, which does not come."""
    with suite.running() as made:
        yield made


@pytest.fixture
def api(daemon: Daemon) -> RawHttp:
    return daemon.api


@pytest.fixture
def stub_registry(daemon: Daemon) -> Iterator[StubRegistry]:
    made = StubRegistry(daemon.namespaces)
    yield made
    made.close()


@pytest.fixture
def elsewhere(daemon: Daemon) -> Iterator[StubRegistry]:
    made = StubRegistry(daemon.namespaces)
    yield made
    made.close()


class Pull:
    """One pull: its status, its lines, its error, and whether there is an image then."""

    def __init__(self, api: RawHttp, name: str, **headers: str) -> None:
        path = f"/images/create?fromImage={urllib.parse.quote(name, safe='')}"
        answer = api.request("POST", path, headers=headers)
        self.status = answer.status
        self.lines: list[dict[str, Any]] = [json.loads(line) for line in answer.body.splitlines()]
        last = self.lines[-1] if self.lines else {}
        self.error = last.get("error") or last.get("message") or ""
        self.made = api.request("GET", f"/images/{name}/json").status == 200


def layer(image: Image) -> dict[str, Any]:
    """The descriptor of the layer that is unlike others."""
    found: dict[str, Any] = json.loads(image.manifest)["layers"][1]
    return found


def blob_path(image: Image) -> str:
    return f"/v2/h/blobs/{layer(image)['digest']}"


def redirect(target: str) -> Rude:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def content(data: bytes, status: int = 200, media_type: str = "application/json", **fields: str) -> Rude:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", media_type)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in fields.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Blanks without end, and no word of how many."""
    handler.send_response(200)
    handler.send_header("Content-Type", OCI_MANIFEST)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    try:
        while handler.command != "HEAD":
            handler.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
    except OSError:
        return


def serve(registry: StubRegistry, document: dict[str, Any], media_type: str = OCI_MANIFEST) -> str:
    """Put a document there as `h:1`; its name."""
    data = json.dumps(document).encode()
    registry.manifests[imagefiles.digest(data)] = registry.manifests["h:1"] = (media_type, data)
    return f"{registry.address}/h:1"


def test_redirects_without_end(api: RawHttp, stub_registry: StubRegistry, image: Image) -> None:
    name = stub_registry.add(image, "h", "1")
    stub_registry.rude["/v2/h/manifests/1"] = redirect("/v2/h/manifests/1")
    pull = Pull(api, name)
    assert pull.error == (
        f'failed to resolve reference "{name}": failed to do request: Head "/v2/h/manifests/1": '
        "stopped after 10 redirects"
    )
    assert (pull.status, pull.made, len(stub_registry.headers)) == (500, False, 10)


def test_redirects_of_blobs_without_end(api: RawHttp, stub_registry: StubRegistry, image: Image) -> None:
    name, path = stub_registry.add(image, "h", "1"), blob_path(image)
    stub_registry.rude[path] = redirect(path)
    pull = Pull(api, name)
    assert pull.error == f'{FAILED}failed to do request: Get "{path}": stopped after 10 redirects'
    assert (pull.status, pull.made, len(stub_registry.headers)) == (200, False, 10)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirects_to_other_schemes(api: RawHttp, stub_registry: StubRegistry, image: Image, target: str) -> None:
    name = stub_registry.add(image, "h", "1")
    scheme = target.partition(":")[0]
    stub_registry.rude[blob_path(image)] = redirect(target)
    refused = f'"{target}": unsupported protocol scheme "{scheme}"'
    assert Pull(api, name).error == f"{FAILED}failed to do request: Get {refused}"
    stub_registry.rude["/v2/h/manifests/1"] = redirect(target)
    assert Pull(api, name).error == f'failed to resolve reference "{name}": failed to do request: Head {refused}'


@pytest.mark.wharfd_only("dockerd shows them to the other ports of a host")
def test_credentials_stay_where_they_belong(
    api: RawHttp, stub_registry: StubRegistry, elsewhere: StubRegistry, image: Image
) -> None:
    name, path = stub_registry.add(image, "h", "1"), blob_path(image)
    stub_registry.token = "secret"
    elsewhere.rude["/blob"] = content(image.layers[1].blob)
    stub_registry.rude[path] = redirect(f"http://{elsewhere.address}/blob")
    pull = Pull(api, name, **{"X-Registry-Auth": "eyJyZWdpc3RyeXRva2VuIjoic2VjcmV0In0="})
    assert pull.made, pull.error
    assert [fields.get("Authorization") for fields in stub_registry.headers] == ["Bearer secret"]
    assert [fields.get("Authorization") for fields in elsewhere.headers] == [None]


class Drip:
    """Gives a body a byte at a time, for minutes. `begun` and `given_up` are set as the engine comes and goes."""

    def __init__(self, size: int, media_type: str) -> None:
        self._size = size
        self._media_type = media_type
        self.begun = threading.Event()
        self.given_up = threading.Event()

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", self._media_type)
        handler.send_header("Content-Length", str(self._size))
        handler.end_headers()
        try:
            while handler.command != "HEAD":
                handler.wfile.write(b" ")
                self.begun.set()
                time.sleep(0.05)
        except OSError:
            self.given_up.set()


@pytest.mark.parametrize("what", ["manifest", "configuration", "layer"])
def test_bodies_that_drip(
    daemon: Daemon, stub_registry: StubRegistry, elsewhere: StubRegistry, image: Image, what: str
) -> None:
    """They hold up nobody else, and are given up when nobody waits for them any more."""
    name = stub_registry.add(image, "h", "1")
    configuration = json.loads(image.manifest)["config"]
    path, size, media_type = {
        "manifest": (f"/v2/h/manifests/{imagefiles.digest(image.manifest)}", len(image.manifest), OCI_MANIFEST),
        "configuration": (f"/v2/h/blobs/{configuration['digest']}", configuration["size"], "application/octet-stream"),
        "layer": (blob_path(image), layer(image)["size"], "application/octet-stream"),
    }[what]
    drip = stub_registry.rude[path] = Drip(size, media_type)
    with daemon.cli.spawn("pull", name) as client:
        try:
            assert drip.begun.wait(20)
            other = elsewhere.add(imagefiles.derived(Layer(tar([file(f"beside-{what}", b"x")]))), "beside", what)
            daemon.cli.ok("pull", other, timeout=20)
            assert not drip.given_up.is_set()
        finally:
            client.kill()
    assert drip.given_up.wait(20)
    assert daemon.api.request("GET", f"/images/{name}/json").status == 404


@pytest.mark.parametrize("what", ["manifest", "configuration", "layer", "tags"])
@pytest.mark.wharfd_only("dockerd reads on and writes it to its disk, or holds it in memory")
def test_bodies_without_end(api: RawHttp, daemon: Daemon, stub_registry: StubRegistry, image: Image, what: str) -> None:
    name = stub_registry.add(image, "h", "1")
    paths = {
        "manifest": "/v2/h/manifests/1",
        "configuration": f"/v2/h/blobs/{json.loads(image.manifest)['config']['digest']}",
        "layer": blob_path(image),
        "tags": "/v2/h/tags/list",
    }
    stub_registry.rude[paths[what]] = endless
    Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")
    before = peak(daemon)
    pull = Pull(api, name.removesuffix(":1") if what == "tags" else name)
    assert "is larger than" in pull.error
    assert not pull.made
    assert peak(daemon) - before < MEMORY


def peak(daemon: Daemon) -> int:
    """The most memory that the daemon has had, in bytes."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))


@pytest.mark.wharfd_only("dockerd asks on without end")
def test_tags_without_end(api: RawHttp, stub_registry: StubRegistry, image: Image) -> None:
    name = stub_registry.add(image, "h", "1").removesuffix(":1")
    data = json.dumps({"tags": [f"t{number}" for number in range(20_000)]}).encode()
    stub_registry.rude["/v2/h/tags/list"] = content(data, Link='</v2/h/tags/list?last=t>; rel="next"')
    error = Pull(api, name).error
    assert error.startswith("malformed answer of ")
    assert error.endswith("/v2/h/tags/list: more than 100000 tags")


def test_tags_that_can_be_none(api: RawHttp, stub_registry: StubRegistry, image: Image) -> None:
    name = stub_registry.add(image, "h", "1").removesuffix(":1")
    tags = ["../../blobs/x", "a b", "", "x" * 200, "1", "c:d"]
    stub_registry.rude["/v2/h/tags/list"] = content(json.dumps({"name": "h", "tags": tags}).encode())
    pull = Pull(api, name)
    assert (pull.status, pull.error) == (200, "")
    assert [line["status"] for line in pull.lines if "Status: " in line["status"]] == [
        f"Status: Downloaded newer image for {name}:1"
    ]
    assert not [path for path in stub_registry.seen if "blobs/x" in path]


def test_no_tags(api: RawHttp, stub_registry: StubRegistry) -> None:
    stub_registry.rude["/v2/h/tags/list"] = content(b'{"name":"h","tags":null}')
    pull = Pull(api, f"{stub_registry.address}/h")
    assert (pull.status, pull.lines) == (200, [])


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ("sha256:../../../../etc/passwd", "invalid checksum digest length"),
        ("sha256:" + "z" * 64, "invalid checksum digest format"),
        ("../../x", "invalid checksum digest format"),
        ("md5:" + "0" * 32, "unsupported digest algorithm"),
    ],
)
def test_headers_with_digests_that_are_none(
    api: RawHttp, stub_registry: StubRegistry, image: Image, lie: str, reason: str
) -> None:
    name = stub_registry.add(image, "h", "1")
    stub_registry.rude["/v2/h/manifests/1"] = content(image.manifest, Docker_Content_Digest=lie)
    error = f'failed to resolve reference "{name}": "{lie}" in header not a valid digest: {reason}'
    assert (Pull(api, name).error, stub_registry.seen) == (error, ["HEAD /v2/h/manifests/1"])


def test_a_header_with_the_digest_of_something_else(api: RawHttp, stub_registry: StubRegistry, image: Image) -> None:
    name, lie = stub_registry.add(image, "h", "1"), "sha256:" + "0" * 64
    answer = content(image.manifest, media_type=OCI_MANIFEST, Docker_Content_Digest=lie)
    stub_registry.rude["/v2/h/manifests/1"] = stub_registry.rude[f"/v2/h/manifests/{lie}"] = answer
    pull = Pull(api, name)
    found = f"unexpected commit digest {imagefiles.digest(image.manifest)}, expected {lie}: failed precondition"
    assert pull.error.endswith(found)
    assert not pull.made


@pytest.mark.parametrize("lie", ["sha256:../../../etc/passwd", "sha512:" + "0" * 128, "sha256:" + "A" * 64, "x", ""])
def test_layers_with_digests_that_are_none(api: RawHttp, stub_registry: StubRegistry, image: Image, lie: str) -> None:
    stub_registry.add(image, "h", "1")
    document = json.loads(image.manifest)
    document["layers"][1]["digest"] = lie
    pull = Pull(api, serve(stub_registry, document))
    assert pull.error
    assert not pull.made


@pytest.mark.wharfd_only("dockerd asks for the configuration first, and for each layer")
def test_the_same_layer_over_and_over(api: RawHttp, stub_registry: StubRegistry, image: Image) -> None:
    stub_registry.add(image, "h", "1")
    document = json.loads(image.manifest)
    document["layers"] = [layer(image)] * 10_000
    pull = Pull(api, serve(stub_registry, document))
    assert (pull.error, pull.made) == ("invalid manifest: 10000 layers", False)
    assert not [path for path in stub_registry.seen if "/blobs/" in path]


@pytest.mark.wharfd_only("dockerd follows an index in an index")
def test_indexes_in_indexes(api: RawHttp, stub_registry: StubRegistry, image: Image) -> None:
    stub_registry.add(image, "h", "1")
    inner = {"mediaType": OCI_MANIFEST, "digest": imagefiles.digest(image.manifest), "size": len(image.manifest)}
    name = ""
    for _ in range(3):
        name = serve(stub_registry, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [inner]}, OCI_INDEX)
        data = stub_registry.manifests["h:1"][1]
        inner = {"mediaType": OCI_INDEX, "digest": imagefiles.digest(data), "size": len(data)}
    pull = Pull(api, name)
    assert (pull.error, pull.made) == ("invalid index: an index within an index", False)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"errors": [{"code": "DENIED", "message": "no way"}]}, "error from registry: no way"),
        ({"errors": [{"code": "UNSUPPORTED", "message": "m", "detail": "d"}]}, "error from registry: m - d"),
        ({"errors": [{"message": "one"}, {"code": "FOO", "message": "two"}]}, "error from registry: one\ntwo"),
        ({}, f"{FAILED}unexpected status from GET request to {{}}: 403 Forbidden"),
        ([], f"{FAILED}unexpected status from GET request to {{}}: 403 Forbidden"),
    ],
)
def test_what_the_registry_says(
    api: RawHttp, stub_registry: StubRegistry, image: Image, body: object, error: str
) -> None:
    name, path = stub_registry.add(image, "h", "1"), blob_path(image)
    stub_registry.rude[path] = content(json.dumps(body).encode(), 403)
    pull = Pull(api, name)
    assert pull.error.endswith(error.format(f"http://{stub_registry.address}{path}"))
    assert not pull.made


@pytest.mark.parametrize("what", ["config", "layer"])
def test_blobs_that_are_missing(api: RawHttp, stub_registry: StubRegistry, image: Image, what: str) -> None:
    name = stub_registry.add(image, "h", "1")
    gone = json.loads(image.manifest)["config"] if what == "config" else layer(image)
    del stub_registry.blobs[gone["digest"]]
    pull = Pull(api, name)
    described = f"{gone['digest']} ({gone['mediaType']})"
    assert pull.error == f"{FAILED}could not fetch content descriptor {described} from remote: not found"
    assert (pull.status, pull.lines[0]) == (200, {"status": "Pulling from h", "id": "1"})


def test_blobs_that_are_shorter_than_they_should_be(api: RawHttp, stub_registry: StubRegistry, image: Image) -> None:
    name, at = stub_registry.add(image, "h", "1"), layer(image)
    stub_registry.blobs[at["digest"]] = image.layers[1].blob[:-5]
    pull = Pull(api, name)
    assert pull.error == f"short read: expected {at['size']} bytes but got {at['size'] - 5}: unexpected EOF"
    assert not pull.made


def test_blobs_that_are_longer_than_they_should_be(api: RawHttp, stub_registry: StubRegistry, image: Image) -> None:
    name, at = stub_registry.add(image, "h", "1"), layer(image)
    stub_registry.blobs[at["digest"]] = image.layers[1].blob + b"more"
    pull = Pull(api, name)
    assert pull.error
    assert not pull.made


@pytest.mark.parametrize("there", [True, False])
def test_foreign_layers(
    api: RawHttp, stub_registry: StubRegistry, elsewhere: StubRegistry, image: Image, there: bool
) -> None:
    """They are taken from where the manifest says, without credentials, else from the registry."""
    stub_registry.add(image, "h", "1")
    stub_registry.token = "secret"
    document = json.loads(image.manifest)
    document["layers"][1]["urls"] = [f"http://{elsewhere.address}/foreign"]
    elsewhere.rude["/foreign"] = content(image.layers[1].blob) if there else content(b"", 404)
    if there:
        del stub_registry.blobs[layer(image)["digest"]]
    pull = Pull(api, serve(stub_registry, document), **{"X-Registry-Auth": "eyJyZWdpc3RyeXRva2VuIjoic2VjcmV0In0="})
    assert pull.made, pull.error
    assert [fields.get("Authorization") for fields in elsewhere.headers] == [None]


def test_foreign_layers_are_not_taken_from_files(api: RawHttp, stub_registry: StubRegistry, image: Image) -> None:
    stub_registry.add(image, "h", "1")
    document = json.loads(image.manifest)
    document["layers"][1]["urls"] = ["file:///etc/passwd"]
    del stub_registry.blobs[layer(image)["digest"]]
    pull = Pull(api, serve(stub_registry, document))
    assert pull.error.endswith("from remote: not found")
    assert not pull.made
