"""Routes whose handlers are made when they are needed."""

from typing import cast

from aiohttp import web

from engine.api.handlers.deferred import Deferred
from engine.api.routing import Route

_REQUEST = cast(web.BaseRequest, object())


async def test_the_handler_of_the_same_path_answers() -> None:
    loaded: list[str] = []

    async def build(request: web.BaseRequest) -> web.StreamResponse:
        assert request is _REQUEST
        return web.Response(text="built")

    async def prune(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="pruned")

    async def load() -> list[Route]:
        loaded.append("once")
        return [Route("POST", "/build", build), Route("POST", "/build/prune", prune)]

    routes = {route.path: route for route in Deferred("POST", ["/build", "/build/prune"], load).routes()}
    assert not loaded
    assert {route.method for route in routes.values()} == {"POST"}
    for path, text in (("/build", "built"), ("/build/prune", "pruned")):
        answer = await routes[path].handler(_REQUEST)
        assert isinstance(answer, web.Response)
        assert answer.text == text
