"""Exec: create, start, resize, inspect."""

from aiohttp import web

from engine.api.handlers.containers.stream_client import StreamClient, content_type
from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.transport.hijack import hijack
from engine.api.wire import query
from engine.api.wire.body import read_json
from engine.api.wire.containers import ExecStart, encode_exec
from engine.core.errors import WharfError
from engine.core.model.exec import ExecConfig
from engine.domain.containers.exec import Execs


class ExecHandlers:
    """The /exec routes."""

    def __init__(self, execs: Execs) -> None:
        self._execs = execs

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("POST", "/containers/{name:.*}/exec", self.create),
            Route("POST", "/exec/{name:.*}/start", self.start),
            Route("POST", "/exec/{name:.*}/resize", self.resize),
            Route("GET", "/exec/{name:.*}/json", self.inspect),
        ]

    async def create(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/exec."""
        config = await read_json(request, ExecConfig)
        instance = await self._execs.create(request["name"], config)
        return reply.json({"Id": instance.id}, status=201)

    async def start(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /exec/{name}/start."""
        options = await read_json(request, ExecStart, required=False)
        instance = self._execs.require_startable(request["name"])
        if options.console_size:
            self._execs.set_console_size(instance.id, options.console_size)
        if options.detach:
            await self._execs.run_detached(instance)
            return reply.empty(200)
        # As dockerd: the start decides whether output is framed, whatever the create said of a terminal.
        connection = await hijack(request, content_type(request["api_version"], tty=options.tty))
        client = StreamClient(connection, framed=not options.tty)
        try:
            await self._execs.run_attached(instance, client)
        except (OSError, WharfError) as error:
            # The stream is open already: dockerd tells the error in it, as output.
            await client.tell(f"{error}\r\n")
        finally:
            await connection.close()
        return connection.response

    async def resize(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /exec/{name}/resize."""
        height, width = query.required_integer(request, "h"), query.required_integer(request, "w")
        await self._execs.resize(request["name"], height, width)
        return reply.empty(200)

    async def inspect(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /exec/{name}/json."""
        return reply.json(encode_exec(self._execs.get(request["name"])))
