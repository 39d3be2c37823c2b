"""`/_ping`: what clients read before anything else."""

import pytest

from compat_tests.clients.rawhttp import RawHttp


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("prefix", ["", "/v1.24", "/v1.47"])
def test_headers_that_clients_negotiate_with(api: RawHttp, method: str, prefix: str) -> None:
    answer = api.request(method, f"{prefix}/_ping")
    assert answer.status == 200
    assert answer.body == (b"OK" if method == "GET" else b"")
    shown = {name: answer.headers.get(name) for name in ("ostype", "docker-experimental", "swarm")}
    assert shown == {"ostype": "linux", "docker-experimental": "false", "swarm": "inactive"}
    assert answer.headers["api-version"] == "1.51"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"
    assert answer.headers["pragma"] == "no-cache"
    assert "server" in answer.headers


def test_clients_are_sent_to_buildkit(api: RawHttp) -> None:
    assert api.request("GET", "/_ping").headers["builder-version"] == "2"


def test_only_get_and_head(api: RawHttp) -> None:
    answer = api.post("/_ping")
    assert (answer.status, answer.message) == (404, "page not found")
