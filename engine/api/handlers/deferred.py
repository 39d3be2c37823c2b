"""Routes whose handlers are made with the first request for one of them."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from aiohttp import web

from engine.api.routing import Handler, Route


class Deferred:
    """Stands for handlers. `load` returns their routes; it is asked for each request, and keeps what it has made."""

    def __init__(self, method: str, paths: Iterable[str], load: Callable[[], Awaitable[Sequence[Route]]]) -> None:
        """`paths` have no variables."""
        self._method = method
        self._paths = tuple(paths)
        self._load = load

    def routes(self) -> list[Route]:
        """Return routes of the same methods and paths."""
        return [Route(self._method, path, self._deferred(path)) for path in self._paths]

    def _deferred(self, path: str) -> Handler:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            found = {(route.method, route.path): route.handler for route in await self._load()}
            return await found[self._method, path](request)

        return handle
