"""How registries are reached: certificates, mirrors in their order, proxies; pulls that go on after a restart."""

import json
import shutil
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from http.client import HTTPException

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Image, Layer, file, tar
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.registry import StubRegistry
from compat_tests.clients.secure_registry import Authority, ServedRegistry
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite, finish
from compat_tests.images.conftest import CERTIFICATES

UNKNOWN = "tls: failed to verify certificate: x509: certificate signed by unknown authority"

# TLS 1.2 and 1.3 have different words for it.
WANTED = ("remote error: tls: bad certificate", "remote error: tls: certificate required")


def small(name: str) -> Image:
    return Image((Layer(tar([file(name, name.encode())])),), {"Cmd": [f"/{name}"]})


def login(api: RawHttp, address: str) -> tuple[int, str]:
    answer = api.post("/auth", {"username": "u", "password": "p", "serveraddress": address})
    return answer.status, answer.message


def test_certificates_that_do_not_fit(
    api: RawHttp, tls_registry: Callable[..., ServedRegistry], authority: Authority
) -> None:
    registry = tls_registry(clients=True)
    url = f"https://{registry.address}/v2/"
    own = CERTIFICATES / registry.address
    assert login(api, registry.address) == (500, f'Get "{url}": {UNKNOWN}')
    own.mkdir(parents=True)
    (own / "ca.crt").write_bytes(authority.own.certificate.read_bytes())
    assert login(api, registry.address)[1].endswith(WANTED)
    answer = api.post(f"/images/create?fromImage={registry.address}/x&tag=1")
    assert f'Head "{url}x/manifests/1": remote error: tls: ' in answer.message
    assert answer.message.endswith(WANTED)
    (own / "client.cert").write_bytes(authority.issue("mutual", "clientAuth").certificate.read_bytes())
    text = "missing key client.key for client certificate client.cert. CA certificates must use the extension .crt"
    assert login(api, registry.address) == (400, text)
    (own / "client.key").write_text("rubbish")
    answer = api.post(f"/images/create?fromImage={registry.address}/x&tag=1")
    assert answer.message.endswith("failed to load X509 key pair: tls: failed to find any PEM data in key input")
    (own / "client.cert").unlink()
    assert login(api, registry.address) == (400, "missing client certificate client.cert for key client.key")
    (own / "client.key").unlink()
    (own / "ca.crt").write_text("rubbish")
    answer = api.post(f"/images/create?fromImage={registry.address}/x&tag=1")
    assert answer.message.endswith(f'unable to load CA cert "{own}/ca.crt"')
    shutil.rmtree(own)
    assert login(api, registry.address) == (500, f'Get "{url}": {UNKNOWN}')


@pytest.fixture
def stubs(suite: Suite) -> Iterator[Callable[..., tuple[Daemon, list[StubRegistry]]]]:
    """`stubs(2, "--registry-mirror", "http://{0}", …)`: an engine whose arguments name registries that misbehave."""
    made: list[Daemon] = []
    registries: list[StubRegistry] = []

    def start(count: int, *arguments: str) -> tuple[Daemon, list[StubRegistry]]:
        daemon = suite.daemon()
        made.append(daemon)
        registries.extend(StubRegistry(daemon.namespaces) for _ in range(count))
        filled = tuple(a.format(*(r.address for r in registries)) for a in arguments)
        object.__setattr__(daemon.options, "arguments", (*daemon.options.arguments, *filled))
        daemon.start()
        return daemon, registries

    yield start
    for registry in registries:
        registry.close()
    for daemon in made:
        finish(daemon)


def inspected(daemon: Daemon, name: str) -> str:
    return daemon.cli.ok("inspect", "-f", "{{.Id}}", name)


def test_mirrors_are_asked_in_their_order(stubs: Callable[..., tuple[Daemon, list[StubRegistry]]]) -> None:
    mirrors = ("--registry-mirror", "http://{0}", "--registry-mirror", "http://{1}", "--registry-mirror", "http://{2}")
    daemon, (first, second, third) = stubs(3, *mirrors)
    everywhere, later = small("everywhere"), small("later")
    for registry in (first, second, third):
        registry.add(everywhere, "library/everywhere", "1")
    for registry in (second, third):
        registry.add(later, "library/later", "1")
    daemon.cli.ok("pull", "everywhere:1")
    assert inspected(daemon, "everywhere:1") == imagefiles.digest(everywhere.manifest)
    assert first.seen
    assert not second.seen
    daemon.cli.ok("pull", "later:1")
    assert inspected(daemon, "later:1") == imagefiles.digest(later.manifest)
    assert [seen for seen in first.seen if "later" in seen]
    assert second.seen
    assert not third.seen
    first.status = second.status = 500
    third.add(small("last"), "library/last", "1")
    daemon.cli.ok("pull", "last:1")
    assert third.seen


@pytest.mark.wharfd_only("dockerd mirrors Docker Hub only")
def test_mirrors_of_any_registry(stubs: Callable[..., tuple[Daemon, list[StubRegistry]]]) -> None:
    daemon, (mirror, origin) = stubs(2, "--registry-mirror", "{1}=http://{0}")
    both, origin_only = small("both"), small("origin")
    for registry in (mirror, origin):
        registry.add(both, "team/both", "1")
    name = origin.add(origin_only, "team/origin", "1")
    daemon.cli.ok("pull", f"{origin.address}/team/both:1")
    assert any(seen.endswith(f"ns={origin.address}") for seen in mirror.seen)
    assert not origin.seen
    daemon.cli.ok("pull", name)
    assert inspected(daemon, name) == imagefiles.digest(origin_only.manifest)
    # What the registry itself says counts, not what the mirror says.
    error = daemon.cli.fails("pull", f"{origin.address}/team/none:1")
    assert f"{origin.address}/team/none:1: not found" in error


PROXIED = ("--http-proxy", "http://{0}", "--https-proxy", "http://{0}", "--insecure-registry", "registry.example:5000")


def test_a_proxy(stubs: Callable[..., tuple[Daemon, list[StubRegistry]]]) -> None:
    daemon, (proxy,) = stubs(1, *PROXIED, "--no-proxy", "direct.example,10.0.0.0/8")
    image = small("proxied")
    proxy.add(image, "proxied", "1")
    daemon.cli.ok("pull", "registry.example:5000/proxied:1")
    assert inspected(daemon, "registry.example:5000/proxied:1") == imagefiles.digest(image.manifest)
    assert any(seen.endswith(" http://registry.example:5000/v2/proxied/manifests/1") for seen in proxy.seen)
    assert "CONNECT registry.example:5000" in proxy.seen
    seen = len(proxy.seen)
    direct = daemon.options.bip.partition("/")[0]
    assert f"dial tcp {direct}:1: connect: connection refused" in daemon.cli.fails("pull", f"{direct}:1/proxied:1")
    assert len(proxy.seen) == seen


@pytest.mark.wharfd_only("the oracle's file is its own")
def test_proxies_of_the_file(suite: Suite) -> None:
    daemon = suite.daemon()
    proxy = StubRegistry(daemon.namespaces)
    try:
        proxies = {"http-proxy": f"http://{proxy.address}", "https-proxy": f"http://{proxy.address}"}
        config = {"proxies": proxies, "insecure-registries": ["registry.example:5000"]}
        (daemon.state / "daemon.json").write_text(json.dumps(config))
        daemon.start()
        proxy.add(small("proxied"), "proxied", "1")
        daemon.cli.ok("pull", "registry.example:5000/proxied:1")
        assert daemon.api.get("/info")["HttpProxy"] == f"http://{proxy.address}"
    finally:
        proxy.close()
        finish(daemon)


def pull_until_killed(daemon: Daemon, name: str) -> None:
    try:
        daemon.api.request("POST", f"/images/create?fromImage={urllib.parse.quote(name, safe='')}")
    except (OSError, HTTPException, ValueError):
        return  # the daemon went away under it: that is the point


def test_a_pull_goes_on_after_a_kill(stubs: Callable[..., tuple[Daemon, list[StubRegistry]]]) -> None:
    daemon, (registry,) = stubs(1)
    layer = Layer(tar([file("large", imagefiles.noise(6_000_000))]))
    key = imagefiles.digest(layer.blob)
    name = registry.add(Image((layer,), {"Cmd": ["x"]}), "tests/large", "1")
    registry.held.add(key)
    registry.held_from[key] = 4_000_000
    registry.gate.clear()
    thread = threading.Thread(target=pull_until_killed, args=(daemon, name))
    thread.start()
    arrived = (daemon.data_root / "content/ingest", daemon.data_root / "containerd")
    assert eventually(lambda: any(path.stat().st_size > 2_000_000 for root in arrived for path in root.rglob("*")))
    daemon.kill()
    thread.join()
    registry.gate.set()
    daemon.start()
    daemon.cli.ok("pull", name)
    started = [int(wanted.removeprefix("bytes=").partition("-")[0]) for wanted in registry.ranges]
    assert max(started, default=0) >= 2_000_000
    assert inspected(daemon, name) == imagefiles.digest(registry.manifests["tests/large:1"][1])
