"""Attach over a websocket: output as binary messages without frames, each message from the client as input."""

import asyncio

from aiohttp import WSMsgType, web

from engine.api.handlers.containers.attach import require_attachable, wanted_of
from engine.api.routing import Route
from engine.core.errors import WharfError
from engine.domain.containers.streams import Streams
from engine.domain.containers.table import ContainerTable


class WebSocketClient:
    """Implements `engine.domain.containers.bridge.Client` over a websocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._input: asyncio.Queue[bytes | None] = asyncio.Queue(16)
        self._closed = asyncio.Event()

    async def read_on(self) -> None:
        """Take the client's messages until it closes; to run beside the rest."""
        async for message in self._socket:
            if message.type in (WSMsgType.BINARY, WSMsgType.TEXT):
                data = message.data
                await self._input.put(data if isinstance(data, bytes) else data.encode())
        self._closed.set()
        await self._input.put(None)

    async def send(self, stream: int, data: bytes) -> None:
        """Deliver output of either stream. Raises ConnectionError when the client is gone."""
        del stream
        await self._socket.send_bytes(data)

    async def receive(self) -> bytes:
        """Return input. Raises ConnectionResetError when the client is gone."""
        data = await self._input.get()
        if data is None:
            raise ConnectionResetError("the client is gone")
        return data

    async def gone(self) -> None:
        """Return when the client has closed."""
        await self._closed.wait()


class WebSocketHandlers:
    """The route."""

    def __init__(self, table: ContainerTable, streams: Streams) -> None:
        self._table = table
        self._streams = streams

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("GET", "/containers/{name:.*}/attach/ws", self.attach)]

    async def attach(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /containers/{name}/attach/ws."""
        container = self._table.get(request["name"])
        wanted = wanted_of(request, container)
        require_attachable(container, request["name"])
        if problem := _no_websocket(request):
            return web.Response(status=400, body=problem.encode(), content_type="text/plain")
        opened = await self._streams.open(container)
        socket = web.WebSocketResponse()
        try:
            await socket.prepare(request)
            client = WebSocketClient(socket)
            reading = asyncio.ensure_future(client.read_on())
            try:
                await self._streams.attach(container, opened, client, wanted)
            except WharfError as error:
                await client.send(1, f"{error}\r\n".encode())
            finally:
                reading.cancel()
                await asyncio.wait((reading,))
                await socket.close()
        finally:
            self._streams.abandon(opened)
        return socket


def _no_websocket(request: web.BaseRequest) -> str:
    """Return what is wrong with a handshake; the texts are those of golang.org/x/net/websocket."""
    headers = request.headers
    if "websocket" not in headers.get("Upgrade", "").lower() or "upgrade" not in headers.get("Connection", "").lower():
        return "not websocket protocol"
    if not headers.get("Sec-WebSocket-Key"):
        return "mismatch challenge/response"
    return "" if headers.get("Sec-WebSocket-Version") == "13" else "missing or bad WebSocket Version"
