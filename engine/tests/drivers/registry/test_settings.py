"""Where registries are, whom secrets are shown, what errors say. Pure parts."""

import errno

import aiohttp
import pytest

from engine.drivers.registry.challenge import Challenge, parse, realm_of
from engine.drivers.registry.credentials import Credentials
from engine.drivers.registry.failures import InvalidChallenge
from engine.drivers.registry.settings import (
    Proxies,
    RegistrySettings,
    endpoints,
    proxies_of,
    proxy_for,
    server_domain,
)
from engine.drivers.registry.transport import explain


def test_endpoints():
    mirrors = {"docker.io": ["https://m.example/", "http://127.0.0.1:5"]}
    settings = RegistrySettings(mirrors=mirrors, insecure=("10.0.0.0/8", "bad:1"))
    found = endpoints("docker.io", settings)
    assert [e.url for e in found] == ["https://m.example", "http://127.0.0.1:5", "https://registry-1.docker.io"]
    assert [e.mirror for e in found] == [True, True, False]
    assert [e.verify for e in found] == [True, False, True]
    for domain in ("localhost:5", "127.9.9.9", "[::1]:5", "10.1.1.1:5", "bad:1"):
        assert endpoints(domain, settings)[0].may_be_plain
    for domain in ("bad:2", "example.com"):
        assert not endpoints(domain, settings)[0].may_be_plain


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("https://a.example/x", "", "http://p:2"),
        ("http://a.example/x", "", "http://p:1"),
        ("https://127.0.0.1:5000/", "", None),
        ("https://localhost/", "", None),
        ("https://a.example/", "example", None),
        ("https://a.example/", ".example", None),
        ("https://a.example/", "b.example", "http://p:2"),
        ("https://a.example/", "*", None),
        ("https://a.example:8/", "a.example:8", None),
        ("https://a.example:9/", "a.example:8", "http://p:2"),
        ("https://10.1.2.3/", "x, 10.0.0.0/8", None),
        ("https://10.1.2.3/", "10.1.2.3", None),
    ],
)
def test_proxies(url, no_proxy, expected):
    assert proxy_for(url, Proxies("p:1", "http://p:2", no_proxy)) == expected


def test_the_configuration_outweighs_the_environment():
    found = proxies_of(Proxies(http="a"), {"HTTP_PROXY": "b", "https_proxy": "c", "NO_PROXY": "d"})
    assert found == Proxies("a", "c", "d")


def test_challenges():
    [bearer, basic] = parse(['Bearer realm="https://a/t",service="s p",scope="x:y:pull,push"', "Basic realm=r"])
    assert bearer == Challenge("bearer", {"realm": "https://a/t", "service": "s p", "scope": "x:y:pull,push"})
    assert basic.parameters == {"realm": "r"}


@pytest.mark.parametrize(
    "realm", ["", "ftp://x/", "//x", "http://evil.example/t", "https://u:p@x/t", "file:///etc/passwd"]
)
def test_senseless_realms(realm):
    with pytest.raises(InvalidChallenge):
        realm_of(Challenge("bearer", {"realm": realm}), "https://registry.example/v2/")


def test_sane_realms():
    for realm in ("https://auth.example/t", "http://127.0.0.1:5/t"):
        assert realm_of(Challenge("bearer", {"realm": realm}), "https://registry.example/v2/") == realm
    assert realm_of(Challenge("bearer", {"realm": "http://a/t"}), "http://registry.example/v2/") == "http://a/t"


def test_secrets_are_not_shown():
    assert "s3cret" not in repr(Credentials("u", "s3cret", "s3cret", "s3cret"))


def test_server_addresses():
    for address in ("", "https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"):
        assert server_domain(address) == "docker.io"
    assert server_domain("https://host:5000/v2/") == server_domain("host:5000") == "host:5000"


def test_errors_speak_as_go_does():
    key = aiohttp.client_reqrep.ConnectionKey("h", 5, True, True, None, None, None)
    refused = aiohttp.ClientConnectorError(key, OSError(errno.ECONNREFUSED, "uvloop says something else"))
    assert explain(refused) == "dial tcp h:5: connect: connection refused"
    assert explain(aiohttp.ServerDisconnectedError()) == "unexpected EOF"
    assert "Timeout" in explain(TimeoutError())
