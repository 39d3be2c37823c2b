"""gRPC as the client, on a connection that is there already: a build's client serves, the daemon calls.

Its own HTTP/2 instead of grpclib's: contexts of gigabytes, or of ten thousand small files, come through here, and it
takes a fifth of the time. Only what a gRPC client needs of RFC 9113. Owns the connection; `closed` is set at its end.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import cast

import hpack

from engine.api.transport import h2_frames as h2
from engine.api.transport.h2_exchange import WINDOW, H2Exchange
from engine.api.transport.rpc import Code, ConnectionLost, Metadata, RpcError
from engine.domain.builder.protocol.messages import Message, Method

log = logging.getLogger(__name__)
_CONNECTION_WINDOW = 64 << 20
_MAX_FRAME = 64 << 10
_MAX_HEADERS = 1 << 20
_REFUSED = "the client refuses further calls"


class H2Client(asyncio.Protocol):
    """One connection, the client's side of HTTP/2 (see `rpc.Client`)."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.max_frame = h2.SMALLEST_MAX_FRAME
        self._transport: asyncio.Transport | None = None
        self._cutter = h2.Cutter()
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder(max_header_list_size=_MAX_HEADERS)
        self._exchanges: dict[int, H2Exchange] = {}
        self._next = 1
        self._refusing = False
        self._peer_window = h2.SMALLEST_WINDOW
        self._send_window = h2.SMALLEST_WINDOW
        self._unacknowledged = 0
        self._block: tuple[h2.Frame, bytearray] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._frames: dict[int, Callable[[h2.Frame], None]] = {
            h2.DATA: self._data,
            h2.HEADERS: self._headers,
            h2.CONTINUATION: self._continuation,
            h2.RST_STREAM: self._reset,
            h2.SETTINGS: self._settings,
            h2.PING: self._ping,
            h2.GOAWAY: self._go_away,
            h2.WINDOW_UPDATE: self._window_update,
            h2.PUSH_PROMISE: self._push,
        }

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to speak: the daemon is the client here, and clients speak first."""
        self._transport = cast(asyncio.Transport, transport)
        ours = {h2.ENABLE_PUSH: 0, h2.INITIAL_WINDOW_SIZE: WINDOW}
        more = h2.window_update(0, _CONNECTION_WINDOW - h2.SMALLEST_WINDOW)
        self.write(h2.PREFACE + h2.settings(ours) + more)

    def data_received(self, data: bytes) -> None:
        """Act on each frame; end a connection that makes no sense."""
        try:
            for frame in self._cutter.frames(data):
                if self._block is not None and frame.kind != h2.CONTINUATION:
                    raise h2.Violation("headers were interrupted")
                act = self._frames.get(frame.kind)
                if act is not None:
                    act(frame)
        except (h2.Violation, hpack.HPACKError) as error:
            log.info("a session's client violates HTTP/2: %s", error)
            self.write(h2.go_away(h2.PROTOCOL_ERROR))
            self.close()

    def eof_received(self) -> None:
        """The client is gone."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all calls."""
        self.closed.set()
        self._writable.set()
        for exchange in list(self._exchanges.values()):
            exchange.fail(ConnectionLost())
        self._exchanges.clear()

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable.set()

    # Frames.

    def _data(self, frame: h2.Frame) -> None:
        exchange = self._exchanges.get(frame.stream)
        if exchange is None:
            self.acknowledge(0, len(frame.payload))
            return
        exchange.take(h2.content(frame), len(frame.payload))
        if frame.flags & h2.END_STREAM:
            exchange.fail(RpcError(Code.INTERNAL, "the call ended without a status"))

    def _headers(self, frame: h2.Frame) -> None:
        self._block = frame, bytearray(h2.content(frame))
        self._complete(frame)

    def _continuation(self, frame: h2.Frame) -> None:
        if self._block is None or self._block[0].stream != frame.stream:
            raise h2.Violation("a continuation of nothing")
        self._block[1].extend(frame.payload)
        if len(self._block[1]) > _MAX_HEADERS:
            raise h2.Violation("headers are too large")
        self._complete(frame)

    def _complete(self, frame: h2.Frame) -> None:
        if not frame.flags & h2.END_HEADERS or self._block is None:
            return
        first, block = self._block
        self._block = None
        # Decoded for a call that has ended, too: it changes the decoder's table.
        fields = self._decoder.decode(bytes(block), raw=True)
        headers = {bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in fields}
        exchange = self._exchanges.get(first.stream)
        if exchange is not None:
            exchange.headers(headers, end=bool(first.flags & h2.END_STREAM))

    def _reset(self, frame: h2.Frame) -> None:
        exchange = self._exchanges.get(frame.stream)
        if exchange is not None:
            exchange.fail(ConnectionLost(f"the client has given up the call (HTTP/2 error {h2.word(frame.payload)})"))

    def _settings(self, frame: h2.Frame) -> None:
        if frame.flags & h2.ACK:
            return
        values = h2.read_settings(frame.payload)
        window = values.get(h2.INITIAL_WINDOW_SIZE, self._peer_window)
        if window > h2.LARGEST_WINDOW:
            raise h2.Violation("a window is too large")
        for exchange in self._exchanges.values():
            exchange.grow(window - self._peer_window)
        self._peer_window = window
        self.max_frame = min(values.get(h2.MAX_FRAME_SIZE, self.max_frame), _MAX_FRAME)
        if h2.HEADER_TABLE_SIZE in values:
            self._encoder.header_table_size = min(values[h2.HEADER_TABLE_SIZE], 4096)
        self.write(h2.build(h2.SETTINGS, h2.ACK, 0))

    def _ping(self, frame: h2.Frame) -> None:
        if not frame.flags & h2.ACK:
            self.write(h2.build(h2.PING, h2.ACK, 0, frame.payload))

    def _go_away(self, frame: h2.Frame) -> None:
        last = h2.word(frame.payload)
        self._refusing = True
        for number, exchange in list(self._exchanges.items()):
            if number > last:
                exchange.fail(ConnectionLost(_REFUSED))

    def _window_update(self, frame: h2.Frame) -> None:
        size = h2.word(frame.payload)
        if frame.stream:
            exchange = self._exchanges.get(frame.stream)
            if exchange is not None:
                exchange.grow(size)
            return
        self._send_window += size
        if self._send_window > h2.LARGEST_WINDOW:
            raise h2.Violation("a window is too large")
        for exchange in self._exchanges.values():
            exchange.grow(0)

    def _push(self, _frame: h2.Frame) -> None:
        raise h2.Violation("a push that was ruled out")

    # What exchanges use.

    def write(self, data: bytes) -> None:
        """Send bytes, if there is anybody to read them."""
        if self._transport is not None and not self.closed.is_set():
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the client does not keep up."""
        await self._writable.wait()

    def claim(self, size: int) -> int:
        """Take part of the connection's window; return how much there is, up to `size`."""
        size = max(0, min(size, self._send_window))
        self._send_window -= size
        return size

    def acknowledge(self, stream: int, size: int) -> None:
        """Let the client send more: bytes of a stream (0: of none) were used."""
        if stream:
            self.write(h2.window_update(stream, size))
        self._unacknowledged += size
        if self._unacknowledged >= _CONNECTION_WINDOW // 4:
            self.write(h2.window_update(0, self._unacknowledged))
            self._unacknowledged = 0

    # What callers use.

    async def call(self, method: Method, request: Message, metadata: Metadata = ()) -> Message:
        """Call a method without streams. Raises RpcError."""
        async with self.exchange(method, metadata) as exchange:
            await exchange.send(request)
            await exchange.end()
            reply = await exchange.receive()
            if reply is None or await exchange.receive() is not None:
                raise RpcError(Code.INTERNAL, f"{method.path} must be answered once")
            return reply

    @contextlib.asynccontextmanager
    async def exchange(self, method: Method, metadata: Metadata = ()) -> AsyncIterator[H2Exchange]:
        """Call a method with streams; leaving the context early gives the call up. Raises RpcError."""
        if self.closed.is_set() or self._refusing:
            raise ConnectionLost
        exchange = H2Exchange(self, self._next, self._peer_window, method.reply)
        self._next += 2
        self._exchanges[exchange.number] = exchange
        self.write(self._request(exchange.number, method.path, metadata))
        try:
            yield exchange
        finally:
            self._exchanges.pop(exchange.number, None)
            exchange.leave()

    def _request(self, number: int, path: str, metadata: Metadata) -> bytes:
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *metadata,
        ]
        block = self._encoder.encode(fields)
        pieces = [block[at : at + h2.SMALLEST_MAX_FRAME] for at in range(0, len(block), h2.SMALLEST_MAX_FRAME)]
        kinds = [h2.HEADERS] + [h2.CONTINUATION] * (len(pieces) - 1)
        last = len(pieces) - 1
        return b"".join(
            h2.build(kind, h2.END_HEADERS if at == last else 0, number, piece)
            for at, (kind, piece) in enumerate(zip(kinds, pieces, strict=True))
        )

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()
