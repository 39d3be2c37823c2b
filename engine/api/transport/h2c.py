"""gRPC on connections that others accepted: HTTP/2 without TLS of its own, after an upgrade or from the first byte.

Wraps grpclib, also the private parts that it takes to serve a connection which grpclib has not accepted itself; nothing
else imports it. Owns the connections served; what the calls mean is its services' matter.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, cast

from aiohttp import web
from grpclib import GRPCError, Status
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import StatusDetailsCodecBase
from grpclib.encoding.proto import ProtoCodec
from grpclib.server import Server, Stream

from engine.api.transport.hijack import HijackedResponse, take
from engine.api.transport.rpc import Endpoint, Metadata, RpcError, Service
from engine.domain.builder.protocol.messages import Message, Method, rpc, service, well_known

# Contexts of gigabytes come through one stream: HTTP/2's 64 KiB would wait for us at each turn.
_WINDOWS = Configuration(http2_connection_window_size=64 << 20, http2_stream_window_size=16 << 20)
_KINDS = {tuple(kind): kind for kind in Cardinality}
_UPGRADED = "101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c"

# It tells of each call that a client gives up.
logging.getLogger("grpclib").setLevel(logging.CRITICAL)


class StatusDetails(StatusDetailsCodecBase):
    """Details of errors, kept as they are: pairs of type URL and value."""

    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        """Return the bytes of `grpc-status-details-bin`."""
        made = rpc.Status(code=status.value, message=message or "")
        for type_url, value in details or ():
            made.details.add(type_url=type_url, value=value)
        return bytes(made.SerializeToString())

    def decode(self, status: Status, message: str | None, data: bytes) -> Any:
        """Return the pairs."""
        return [(detail.type_url, detail.value) for detail in rpc.Status.FromString(data).details]


class _Call:
    """A call under way (see `rpc.Call`)."""

    def __init__(self, stream: Stream[Any, Any]) -> None:
        self._stream = stream
        self.metadata: Mapping[str, Sequence[str]] = {}
        if stream.metadata is not None:
            self.metadata = {key: [str(value) for value in stream.metadata.getall(key)] for key in set(stream.metadata)}

    async def receive(self) -> Message | None:
        return await self._stream.recv_message()

    async def send(self, message: Message) -> None:
        await self._stream.send_message(message)

    async def begin(self, metadata: Metadata = ()) -> None:
        await self._stream.send_initial_metadata(metadata=list(metadata))


async def _answer(method: Method, endpoint: Endpoint, call: _Call) -> None:
    if method.client_streaming:
        await endpoint(call)
        return
    request = await call.receive()
    if method.server_streaming:
        replies: AsyncIterator[Message] = endpoint(request, call)
        async for reply in replies:
            await call.send(reply)
    else:
        await call.send(await endpoint(request, call))


class RpcServer:
    """Services, and the connections on which they are served. `failed` says what an error is on the wire."""

    def __init__(self, services: Mapping[str, Service], failed: Callable[[Exception], RpcError]) -> None:
        """Needs a running event loop. Raises KeyError for a service or method that the protocol has not."""
        self._failed = failed
        self._open: set[_Link] = set()
        handlers = {
            method.path: self._handler(method, endpoint)
            for name, endpoints in services.items()
            for method, endpoint in ((service(name)[method_name], found) for method_name, found in endpoints.items())
        }
        self._server = Server(
            [_Mapped(handlers)], codec=ProtoCodec(), status_details_codec=StatusDetails(), config=_WINDOWS
        )
        self._server._mapping = _Table(handlers)

    def _handler(self, method: Method, endpoint: Endpoint) -> Handler:
        async def handle(stream: Stream[Any, Any]) -> None:
            try:
                await _answer(method, endpoint, _Call(stream))
            except Exception as error:
                found = error if isinstance(error, RpcError) else self._failed(error)
                raise GRPCError(Status(found.code), found.message, found.details or None) from error

        kind = _KINDS[method.client_streaming, method.server_streaming]
        return Handler(handle, kind, method.request, method.reply)

    def protocol(self) -> asyncio.Protocol:
        """Return the protocol of a connection that speaks HTTP/2 from its first byte."""
        return _Link(self._server._protocol_factory(), self._open)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Upgrade a request's connection and serve it until its end. Raises ConnectionResetError."""
        link = _Link(self._server._protocol_factory(), self._open)
        return await attach(request, link, link.closed)

    def close(self) -> None:
        """End all connections, and with them the calls on them."""
        for link in list(self._open):
            link.close()

    async def wait_closed(self) -> None:
        """Wait until the calls on connections that have ended have cleaned up. After `close`."""
        await asyncio.gather(*(link.closed.wait() for link in list(self._open)))
        await asyncio.gather(*(handler.wait_closed() for handler in list(self._server._handlers)))


async def _unimplemented(_stream: Stream[Any, Any]) -> None:
    raise GRPCError(Status.UNIMPLEMENTED, "unknown method or service")


class _Table(dict[str, Handler]):
    """Methods by path; grpclib's own answer for unknown ones is one that Go's clients do not understand."""

    def get(self, path: str, default: Any = None) -> Handler:
        """Return what answers a path."""
        unknown = Handler(_unimplemented, Cardinality.STREAM_STREAM, well_known.Timestamp, well_known.Timestamp)
        return super().get(path, unknown)


class _Mapped:
    """What grpclib takes for a service: a table of handlers."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers

    def __mapping__(self) -> dict[str, Handler]:
        return self._handlers


async def attach(request: web.BaseRequest, protocol: asyncio.Protocol, closed: asyncio.Event) -> web.StreamResponse:
    """Upgrade a request's connection to HTTP/2 spoken by `protocol`, which sets `closed` when it is lost.

    Returns after that. Raises ConnectionResetError when the client is gone already.
    """
    taken = await take(request)
    taken.transport.set_protocol(protocol)
    taken.transport.write(f"HTTP/1.1 {_UPGRADED}\r\n\r\n".encode())
    protocol.connection_made(taken.transport)
    if taken.early:
        protocol.data_received(taken.early)
    if taken.half_closed:
        taken.transport.close()
    try:
        await closed.wait()
    finally:
        taken.transport.close()
    return HijackedResponse()


class _Link(asyncio.Protocol):
    """A connection's protocol: HTTP/2 within, and a note of when it is lost."""

    def __init__(self, inner: asyncio.Protocol, known: "set[_Link]") -> None:
        self.closed = asyncio.Event()
        self._inner = inner
        self._known = known
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's in type.
        self._transport = cast(asyncio.Transport, transport)
        self._known.add(self)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._known.discard(self)
        self._inner.connection_lost(exc)
        self.closed.set()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
