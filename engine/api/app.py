"""The HTTP application: all routes behind one dispatcher, served by aiohttp's low-level server.

Owns the server object; the sockets that it serves are opened in `transport/listen.py`.
"""

from collections.abc import Iterable
from typing import Protocol

from engine.api.gate import Gate
from engine.api.middleware import Dispatcher
from engine.api.routing import Route, Router
from engine.api.transport.connection import Server
from engine.api.transport.instant import InstantAnswers

# Clients such as docker-py keep a pool of connections and do not expect an idle one to be closed; dockerd never does.
_IDLE_SECONDS = 24 * 3600.0
_MAX_HEADER_BYTES = 64 << 10


class Handlers(Protocol):
    """The routes of one resource."""

    def routes(self) -> list[Route]:
        """Return the routes."""


class App:
    """The server and the dispatcher behind it."""

    def __init__(
        self, handlers: Iterable[Handlers], instant: InstantAnswers | None = None, gate: Gate | None = None
    ) -> None:
        """Assemble the route table. Needs a running event loop. `instant`: what is answered without it."""
        self._dispatcher = Dispatcher(Router(route for part in handlers for route in part.routes()), gate)
        self.server = Server(
            self._dispatcher.handle,
            instant=instant,
            access_log=None,
            tcp_keepalive=False,
            keepalive_timeout=_IDLE_SECONDS,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Finish the requests that must be finished, then close all connections."""
        await self._dispatcher.close()
        await self.server.shutdown(timeout=2)
        self.server.hangups.close()
