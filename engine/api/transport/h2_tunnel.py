"""HTTP/2 inside the messages of a call: how buildx shares one session among the builds of a bake file."""

import asyncio
from collections import deque
from typing import Any

from engine.api.transport.rpc import Call
from engine.domain.builder.protocol.messages import control

_CHUNK = 1 << 20
_HIGH_WATER = 4 << 20


class TunnelTransport(asyncio.Transport):
    """What the protocol inside sees: a transport, whose bytes `pump` moves to the call and from it."""

    def __init__(self, call: Call, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._call = call
        self._protocol = protocol
        self._outgoing: deque[bytes] = deque()
        self._size = 0
        self._closing = False
        self._changed = asyncio.Event()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """There is no socket."""
        return default

    def is_closing(self) -> bool:
        """Tell whether nothing can be written any more."""
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        if self._closing:
            return
        self._outgoing.append(bytes(data))
        self._size += len(data)
        self._changed.set()
        if self._size > _HIGH_WATER:
            self._protocol.pause_writing()

    def close(self) -> None:
        """Send what is written, and end."""
        self._closing = True
        self._changed.set()

    def abort(self) -> None:
        """End at once."""
        self._outgoing.clear()
        self.close()

    async def pump(self) -> None:
        """Let the protocol speak until either side ends. Raises RpcError."""
        await self._call.begin()
        self._protocol.connection_made(self)
        sending = asyncio.ensure_future(self._send())
        receiving = asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._closing = True
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
            self._protocol.connection_lost(None)

    async def _receive(self) -> None:
        while (message := await self._call.receive()) is not None:
            self._protocol.data_received(message.data)

    async def _send(self) -> None:
        while self._outgoing or not self._closing:
            if not self._outgoing:
                self._changed.clear()
                await self._changed.wait()
                continue
            data = b"".join(self._outgoing)
            self._outgoing.clear()
            high, self._size = self._size > _HIGH_WATER, 0
            for start in range(0, len(data), _CHUNK):
                await self._call.send(control.BytesMessage(data=data[start : start + _CHUNK]))
            if high:
                self._protocol.resume_writing()
