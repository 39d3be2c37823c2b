"""What every request passes: version check, look-up, authorization plugins, errors to statuses, Docker's headers.

A request that changes something is finished even when its client leaves (`Route.finishes`); any other one is cancelled
then. Owns no state but the requests that go on without their client.
"""

import asyncio
import logging
import re
from urllib.parse import quote

from aiohttp import web

from engine.api import failure
from engine.api.gate import Gate
from engine.api.routing import Handler, Match, Router, split_version
from engine.api.transport import reply
from engine.api.transport.headers import COMMON
from engine.api.version import require_spoken
from engine.core.errors import NotFound

log = logging.getLogger(__name__)


class PageNotFound(NotFound):
    """No route has this method and path; dockerd knows no 405."""

    def __init__(self) -> None:
        super().__init__("page not found")


class Dispatcher:
    """Answers requests. `close` waits for those that go on without their client."""

    def __init__(self, router: Router, gate: Gate | None = None) -> None:
        self._router = router
        self._gate = gate
        self._unfinished: set[asyncio.Task[web.StreamResponse]] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; never raises but for a client that is gone."""
        try:
            response = await self._dispatch(request)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 — the last line of defence between a request and the daemon
            response = self._failed(request, error)
        if not response.prepared:
            response.headers.extend(COMMON)
        return response

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        if "//" in request.path:
            return _moved(request)
        version, path = split_version(request.path)
        request["api_version"] = require_spoken(version)
        if request.method == "OPTIONS":
            return reply.empty(200)
        match = self._router.find(request.method, path)
        if match is None:
            raise PageNotFound
        if match.variable:
            request[match.variable] = match.value
        if self._gate is not None and self._gate.closed:
            return await self._gate.passing(request, lambda: self._answer(match, request))
        return await self._answer(match, request)

    async def _answer(self, match: Match, request: web.BaseRequest) -> web.StreamResponse:
        if match.finishes:
            return await self._finish(match.handler, request)
        return await match.handler(request)

    async def _finish(self, handler: Handler, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.ensure_future(_as_coroutine(handler, request))
        self._unfinished.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[web.StreamResponse]) -> None:
        self._unfinished.discard(task)
        if not task.cancelled():
            task.exception()  # The client has heard of it, or is gone: nothing else to do with it.

    def _failed(self, request: web.BaseRequest, error: Exception) -> web.StreamResponse:
        """Return the error's answer; where an answer has begun already, cut the connection so that nobody trusts it."""
        if request.transport is not None and request.get("begun"):
            log.error("%s %s failed in mid-answer", request.method, request.path, exc_info=error)
            request.transport.abort()
            raise ConnectionResetError("cut after an error") from error
        return failure.answer(error)

    async def close(self) -> None:
        """Wait for the requests that go on without their client."""
        await asyncio.gather(*self._unfinished, return_exceptions=True)


def _moved(request: web.BaseRequest) -> web.StreamResponse:
    """Send the client to the path that it means, as dockerd's router does."""
    query = f"?{request.query_string}" if request.query_string else ""
    clean = re.sub(r"/{2,}", "/", request.path)
    return web.Response(status=301, headers={"Location": f"{quote(clean)}{query}"})


async def _as_coroutine(handler: Handler, request: web.BaseRequest) -> web.StreamResponse:
    return await handler(request)
