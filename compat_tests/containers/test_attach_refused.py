"""Attach that is refused: as text on a connection that ends, and over a websocket as JSON."""

from collections.abc import Callable

import pytest

from compat_tests.clients.rawhttp import RawHttp

_HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Origin": "http://d",
}


def _paused(api: RawHttp, start: Callable[..., str]) -> None:
    start("sleep", "600", name="frozen")
    assert api.post("/containers/frozen/pause").status == 204


@pytest.mark.parametrize("version", ["", "/v1.24", "/v1.47"])
@pytest.mark.parametrize("upgrade", [True, False])
def test_refusals_are_text(api: RawHttp, start: Callable[..., str], version: str, upgrade: bool) -> None:
    _paused(api, start)
    refusals = (
        ("none/attach?stream=1&stdout=1", 404, b"No such container: none\r\n"),
        (
            "frozen/attach?stream=1&stdout=1",
            409,
            b"container frozen is paused, unpause the container before attach\r\n",
        ),
        ("frozen/attach?stream=1&detachKeys=bad", 400, b"Invalid detach keys (bad) provided\r\n"),
    )
    for path, status, text in refusals:
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"} if upgrade else {}
        answer = api.request("POST", f"{version}/containers/{path}", headers=headers)
        assert (answer.status, answer.body) == (status, text)
        assert answer.headers == {"content-type": "application/vnd.docker.raw-stream"}


def test_refusals_over_a_websocket_are_json(api: RawHttp, start: Callable[..., str]) -> None:
    _paused(api, start)
    for path, status, text in (
        ("none/attach/ws?stream=1", 404, "No such container: none"),
        ("frozen/attach/ws?stream=1", 409, "container frozen is paused, unpause the container before attach"),
        ("frozen/attach/ws?detachKeys=bad", 400, "Invalid detach keys (bad) provided"),
    ):
        answer = api.request("GET", f"/containers/{path}", headers=_HANDSHAKE)
        assert (answer.status, answer.message) == (status, text)


@pytest.mark.parametrize(
    ("left_out", "text"),
    [
        (("Upgrade",), b"not websocket protocol"),
        (("Connection",), b"not websocket protocol"),
        (("Sec-WebSocket-Key",), b"mismatch challenge/response"),
        (("Sec-WebSocket-Version",), b"missing or bad WebSocket Version"),
    ],
)
def test_no_websocket(api: RawHttp, start: Callable[..., str], left_out: tuple[str, ...], text: bytes) -> None:
    start("sleep", "600", name="web")
    headers = {name: value for name, value in _HANDSHAKE.items() if name not in left_out}
    answer = api.request("GET", "/containers/web/attach/ws?stream=1&stdout=1", headers=headers)
    assert (answer.status, answer.body) == (400, text)


def test_a_size_below_nothing(api: RawHttp, start: Callable[..., str]) -> None:
    start("sleep", "600", name="web")
    answer = api.post("/containers/web/resize?h=-1&w=1")
    assert (answer.status, answer.message) == (400, 'invalid resize height "-1": value out of range')
