"""One gRPC call of ours on an HTTP/2 connection: messages in their envelopes, flow control of both ways, the status."""

import asyncio
import base64
import struct
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import unquote

from google.protobuf.message import DecodeError

from engine.api.transport import h2_frames as h2
from engine.api.transport.rpc import Code, RpcError
from engine.domain.builder.protocol.messages import Message, rpc

WINDOW = 16 << 20
LARGEST_MESSAGE = WINDOW
_CODES = frozenset(Code)
_ENVELOPE = struct.Struct(">BL")


class Connection(Protocol):
    """What carries calls."""

    max_frame: int

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    async def drain(self) -> None:
        """Wait while the peer does not keep up."""
        ...

    def claim(self, size: int) -> int:
        """Take part of the connection's window."""
        ...

    def acknowledge(self, stream: int, size: int) -> None:
        """Let the peer send more."""
        ...


class H2Exchange:
    """A call under way (see `rpc.Exchange`). One task sends, one receives."""

    def __init__(self, connection: Connection, number: int, send_window: int, reply: Any) -> None:
        self.number = number
        self._connection = connection
        self._reply = reply
        self._send_window = send_window
        self._ended_here = False
        self._received: deque[bytes] = deque()
        self._partial = bytearray()
        self._needed = 0
        self._used = 0
        self._outcome: RpcError | None = None
        self._finished = False
        self._incoming = asyncio.Event()
        self._window = asyncio.Event()

    # What the connection tells.

    def take(self, data: bytes, flow_size: int) -> None:
        """Add bytes of the reply. Raises Violation."""
        self._used += flow_size - len(data)
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data = bytes(self._partial)
        position, end = 0, len(data)
        self._needed = _ENVELOPE.size
        while end - position >= _ENVELOPE.size:
            compressed, size = _ENVELOPE.unpack_from(data, position)
            if compressed or size > LARGEST_MESSAGE:
                raise h2.Violation("a message is compressed or too large")
            start = position + _ENVELOPE.size
            if end - start < size:
                self._needed = _ENVELOPE.size + size
                break
            position = start + size
            self._received.append(data[start:position])
        self._partial = bytearray(data[position:])
        if self._received:
            self._incoming.set()

    def headers(self, fields: Mapping[str, str], *, end: bool) -> None:
        """Note the reply's headers or trailers."""
        if end:
            self._finish(_outcome(fields))
        elif fields.get(":status") != "200":
            self._finish(RpcError(Code.UNKNOWN, f"unexpected HTTP status {fields.get(':status')}"))

    def fail(self, error: RpcError) -> None:
        """The call has ended without a status of its own."""
        self._finish(error)

    def _finish(self, outcome: RpcError | None) -> None:
        if not self._finished:
            self._finished, self._outcome = True, outcome
            self._incoming.set()
            self._window.set()

    def grow(self, size: int) -> None:
        """The peer takes more. Raises Violation."""
        self._send_window += size
        if self._send_window > h2.LARGEST_WINDOW:
            raise h2.Violation("a window is too large")
        self._window.set()

    def leave(self) -> None:
        """Nobody is interested any more: give the call up, if it goes on."""
        if not (self._finished and self._ended_here):
            self._connection.write(h2.reset(self.number, h2.CANCEL))
        unused = self._used + len(self._partial) + sum(map(_size, self._received))
        self._connection.acknowledge(0, unused)
        self._finish(RpcError(Code.CANCELLED, "the call was given up"))

    # What callers use.

    async def send(self, message: Message) -> None:
        """Send a message. Raises RpcError."""
        data = message.SerializeToString()
        await self._send(_ENVELOPE.pack(0, len(data)) + data)

    async def send_all(self, batch: Sequence[Message]) -> None:
        """Send messages together. Raises RpcError."""
        encoded = [message.SerializeToString() for message in batch]
        await self._send(b"".join(_ENVELOPE.pack(0, len(data)) + data for data in encoded))

    async def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            await self._connection.drain()
            self._raise_if_over()
            size = self._connection.claim(min(len(view), self._send_window, self._connection.max_frame))
            if size:
                self._send_window -= size
                self._connection.write(h2.build(h2.DATA, 0, self.number, bytes(view[:size])))
                view = view[size:]
            else:
                self._window.clear()
                await self._window.wait()

    async def end(self) -> None:
        """Nothing more will be sent. Raises RpcError."""
        if not self._ended_here:
            self._ended_here = True
            self._connection.write(h2.build(h2.DATA, h2.END_STREAM, self.number))

    async def receive(self) -> Message | None:
        """Return the next message, None at the end of a call that went well. Raises RpcError."""
        await self._wait()
        if not self._received:
            return None
        return self._decode(self._received.popleft())

    async def receive_all(self) -> list[Message]:
        """Return what has come, at least one message; nothing at the end of a call that went well. Raises RpcError."""
        await self._wait()
        batch, self._received = self._received, deque()
        return [self._decode(data) for data in batch]

    async def _wait(self) -> None:
        while not self._received:
            if self._finished:
                self._raise_if_failed()
                return
            self._incoming.clear()
            await self._incoming.wait()

    def _decode(self, data: bytes) -> Message:
        self._used += _size(data)
        if self._used >= WINDOW // 4:
            self._connection.acknowledge(self.number, self._used)
            self._used = 0
        try:
            return self._reply.FromString(data)
        except DecodeError as error:
            raise RpcError(Code.INTERNAL, f"a message makes no sense: {error}") from error

    def _raise_if_failed(self) -> None:
        if self._outcome is not None:
            raise self._outcome

    def _raise_if_over(self) -> None:
        if self._finished:
            self._raise_if_failed()
            raise RpcError(Code.CANCELLED, "the call has ended")


def _size(data: bytes) -> int:
    return len(data) + _ENVELOPE.size


def _outcome(fields: Mapping[str, str]) -> RpcError | None:
    """Return the failure that trailers tell of, None for success."""
    status = fields.get("grpc-status", "")
    if status == "0":
        return None
    if not status.isdigit():
        return RpcError(Code.UNKNOWN, f"unexpected HTTP status {fields.get(':status', 'missing')}")
    message = unquote(fields.get("grpc-message", ""))
    return RpcError(_known(int(status)), message, _details(fields.get("grpc-status-details-bin", "")))


def _known(status: int) -> int:
    return status if status in _CODES else Code.UNKNOWN


def _details(encoded: str) -> Sequence[tuple[str, bytes]]:
    try:
        found = rpc.Status.FromString(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, DecodeError):
        return ()
    return [(detail.type_url, detail.value) for detail in found.details]
