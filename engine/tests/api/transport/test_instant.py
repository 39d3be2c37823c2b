"""Pings that need no parser, and everything that must not be taken for one."""

import asyncio

import aiohttp
import pytest

from engine.api.app import App
from engine.api.handlers.system import SystemHandlers
from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.transport.headers import COMMON, ping_headers
from engine.api.transport.instant import InstantAnswers

INSTANT = InstantAnswers(COMMON | ping_headers("2"))


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /v1.24/_ping HTTP/1.1\r\nHost: d\r\nUser-Agent: x\r\n\r\n",
        b"HEAD /v1.51/_ping HTTP/1.1\r\nhost: d\r\n\r\n",
    ],
)
def test_plain_pings_are_answered(request_):
    answer = INSTANT.answer(request_)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nOK" if request_.startswith(b"GET") else b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /_ping HTTP/1.1\r\nHost: d\r\n",
        b"GET /_ping HTTP/1.1\r\n\r\n",
        b"GET /_ping HTTP/1.0\r\nHost: d\r\n\r\n",
        b"POST /_ping HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /_ping?a=b HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /v1.52/_ping HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /v1.23/_ping HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\nHost: e\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\nconnection: close\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\nUpgrade: h2c\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\n folded\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\nGET /_ping HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: " + b"x" * 5000 + b"\r\n\r\n",
    ],
)
def test_everything_else_goes_to_the_parser(request_):
    assert INSTANT.answer(request_) is None


class _Slow:
    """A request that is answered when the test says so."""

    def __init__(self):
        self.proceed = asyncio.Event()

    def routes(self):
        return [Route("GET", "/slow", self.slow)]

    async def slow(self, _):
        await self.proceed.wait()
        return reply.text("slow")


async def _serve(path, instant, *handlers):
    app = App(handlers, instant)
    return app, await asyncio.get_running_loop().create_unix_server(app.server, path)


async def test_a_pipelined_ping_waits_for_its_turn(tmp_path):
    slow = _Slow()
    app, server = await _serve(tmp_path / "s", INSTANT, slow)
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    writer.write(b"GET /slow HTTP/1.1\r\nHost: d\r\n\r\n")
    await asyncio.sleep(0.01)
    writer.write(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
    await asyncio.sleep(0.01)
    slow.proceed.set()
    assert b"slow" in await reader.readuntil(b"slow")
    writer.close()
    server.close()
    await app.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_both_ways_answer_alike(tmp_path, method):
    seen = []
    for name, instant in (("fast", INSTANT), ("slow", None)):
        app, server = await _serve(tmp_path / name, instant, SystemHandlers(None, None, None, "2"))
        connector = aiohttp.UnixConnector(str(tmp_path / name))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(method, "http://d/_ping") as answer,
        ):
            headers = {name: value for name, value in answer.headers.items() if name != "Date"}
            seen.append((answer.status, headers, await answer.read()))
        server.close()
        await app.close()
    assert seen[0] == seen[1]
