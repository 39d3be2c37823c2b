"""What every request passes, over a real connection."""

import asyncio

import aiohttp
import pytest

from engine.api.app import App
from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.transport.stream import ByteStream
from engine.core.errors import Conflict, NotModified


class _Handlers:
    def __init__(self):
        self.started = asyncio.Event()
        self.proceed = asyncio.Event()
        self.finished = asyncio.Event()
        self.cancelled = asyncio.Event()

    def routes(self):
        return [
            Route("GET", "/ok", self.ok),
            Route("GET", "/conflict", self.conflict),
            Route("GET", "/unchanged", self.unchanged),
            Route("GET", "/bug", self.bug),
            Route("GET", "/cut", self.cut),
            Route("POST", "/change", self.slow, finishes=True),
            Route("POST", "/look", self.slow),
        ]

    async def ok(self, _):
        return reply.json({})

    async def conflict(self, _):
        raise Conflict("no")

    async def unchanged(self, _):
        raise NotModified

    async def bug(self, _):
        raise KeyError("x")

    async def cut(self, request):
        stream = ByteStream(request, "text/plain")
        await stream.write(b"half")
        raise ValueError("broken")

    async def slow(self, _):
        self.started.set()
        try:
            await self.proceed.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        self.finished.set()
        return reply.empty(204)


@pytest.fixture
async def served(tmp_path):
    handlers = _Handlers()
    app = App([handlers])
    path = str(tmp_path / "s")
    server = await asyncio.get_running_loop().create_unix_server(app.server, path)
    async with aiohttp.ClientSession("http://d", connector=aiohttp.UnixConnector(path)) as client:
        yield handlers, client
    server.close()
    handlers.proceed.set()
    await app.close()


async def _ask(client, path, method="GET"):
    async with client.request(method, path) as answer:
        return answer.status, await answer.text(), answer.headers


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/ok", 200, "{}\n"),
        ("/v1.40/ok", 200, "{}\n"),
        ("/conflict", 409, '{"message":"no"}\n'),
        ("/unchanged", 304, ""),
        ("/bug", 500, '{"message":"\'x\'"}\n'),
        ("/nowhere", 404, '{"message":"page not found"}\n'),
    ],
)
async def test_answers_and_errors_have_dockers_form_and_headers(served, path, status, text):
    answered, body, headers = await _ask(served[1], path)
    assert (answered, body) == (status, text)
    assert headers["Api-Version"] == "1.51"
    assert headers["Server"].startswith("Docker/")


async def test_options_is_answered_everywhere(served):
    assert (await _ask(served[1], "/anything", "OPTIONS"))[0] == 200


async def test_an_answer_that_breaks_off_is_cut_and_not_completed(served):
    with pytest.raises(aiohttp.ClientError):
        await _ask(served[1], "/cut")


@pytest.mark.parametrize(("path", "survives"), [("/change", True), ("/look", False)])
async def test_only_changes_go_on_when_the_client_leaves(served, path, survives):
    handlers, client = served
    asking = asyncio.ensure_future(_ask(client, path, "POST"))
    await handlers.started.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    if not survives:
        await asyncio.wait_for(handlers.cancelled.wait(), 5)
        return
    handlers.proceed.set()
    await asyncio.wait_for(handlers.finished.wait(), 5)
