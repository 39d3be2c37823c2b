"""What authorization plugins are shown, and that handlers get nothing else."""

import asyncio
import contextlib

import pytest

from engine.api.app import App
from engine.api.gate import Gate
from engine.api.routing import Route
from engine.api.transport import incoming, reply
from engine.api.wire.body import read_body
from engine.core.errors import Forbidden


class Plugins:
    active = True

    def __init__(self):
        self.questions, self.answers, self.refuse = [], [], False

    async def ask(self, question):
        self.questions.append(question)
        if self.refuse:
            raise Forbidden("no")

    async def ask_answer(self, question, answered):
        self.answers.append(answered)


class Handlers:
    def __init__(self):
        self.got = []

    def routes(self):
        return [Route("POST", "/json", self.json), Route("POST", "/tar", self.tar), Route("POST", "/auth", self.json)]

    async def json(self, request):
        self.got.append(await read_body(request, required=False))
        return reply.json({"ok": True})

    async def tar(self, request):
        self.got.append(b"".join([piece async for piece in incoming.pieces(request)]))
        return reply.empty(200)


class World:
    def __init__(self, port):
        self.plugins, self.handlers, self.port = Plugins(), Handlers(), port

    async def send(self, target, headers, body=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"POST {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode() + body)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        status = int((await reader.readline()).split()[1])
        writer.close()
        return status


@pytest.fixture
async def world():
    world = World(0)
    app = App([world.handlers], None, Gate(world.plugins))
    server = await asyncio.get_running_loop().create_server(app.server, "127.0.0.1", 0)
    world.port = server.sockets[0].getsockname()[1]
    yield world
    server.close()
    await app.close()


@pytest.mark.parametrize(
    "headers", ["Content-Type: application/json\r\n", "", "Content-Type: Application/JSON;x=y\r\n"]
)
async def test_json_is_shown_and_executed(world, headers):
    assert await world.send("/json", f"{headers}Content-Length: 2\r\n", b"{}") == 200
    assert [q.body for q in world.plugins.questions] == world.handlers.got == [b"{}"]
    assert world.plugins.answers[0].body == b'{"ok":true}\n'


async def test_chunks_are_joined(world):
    headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    assert await world.send("/json", headers, b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n") == 200
    assert world.plugins.questions[0].body == world.handlers.got[0] == b"{}"


async def test_what_is_not_shown_is_not_taken_for_json(world):
    assert await world.send("/json", "Content-Type: text/plain\r\nContent-Length: 2\r\n", b"{}") == 400
    assert world.plugins.questions[0].body == b""


async def test_json_that_is_too_large_is_refused_unasked(world):
    headers = f"Content-Type: application/json\r\nContent-Length: {5 << 20}\r\n"
    assert await world.send("/json", headers) == 400
    assert world.plugins.questions == world.handlers.got == []


async def test_archives_are_handed_on_whatever_they_are_called(world):
    for kind in ("application/x-tar", "application/json"):
        headers = f"Content-Type: {kind}\r\nContent-Length: {1 << 20}\r\n"
        assert await world.send("/tar", headers, bytes(1 << 20)) == 200
    assert world.handlers.got == [bytes(1 << 20)] * 2
    assert [len(q.body) for q in world.plugins.questions] == [0, 1 << 20]


async def test_what_is_refused_reaches_no_handler(world):
    world.plugins.refuse = True
    assert await world.send("/json", "Content-Length: 2\r\n", b"{}") == 403
    assert world.handlers.got == []


async def test_credentials_are_kept_from_plugins(world):
    headers = "Authorization: x\r\nX-Registry-Auth: x\r\nX-Registry-Config: x\r\nContent-Length: 2\r\n"
    assert await world.send("/auth", headers, b"{}") == 200
    assert world.handlers.got == [b"{}"]
    assert world.plugins.questions[0].body == world.plugins.answers[0].body == b""
    assert world.plugins.questions[0].headers == {"Content-Length": "2"}


@pytest.mark.parametrize("target", ["/v1.45/%6Aso%6E?x=%20", "/v1.45/json?x=%20"])
async def test_unusual_quoting_does_not_hide_a_path(world, target):
    assert await world.send(target, "") == 200
    assert world.plugins.questions[0].uri == "/v1.45/json?x=%20"
