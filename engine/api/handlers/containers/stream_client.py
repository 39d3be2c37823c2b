"""A hijacked connection as the domain sees a client: framed output down, raw input up."""

from engine.api.transport.hijack import HijackedConnection
from engine.api.transport.stdcopy import frame

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"


def content_type(version: tuple[int, int], *, tty: bool) -> str:
    """Return the media type of an attach or exec stream (API 1.42 tells framed from raw)."""
    return RAW if tty or version < (1, 42) else MULTIPLEXED


class StreamClient:
    """Implements `engine.domain.containers.bridge.Client` over a hijacked connection."""

    def __init__(self, connection: HijackedConnection, *, framed: bool) -> None:
        self._connection = connection
        self._framed = framed

    async def send(self, stream: int, data: bytes) -> None:
        """Deliver output; waits while the client is slow. Raises ConnectionError when it is gone."""
        self._connection.write(frame(stream, data) if self._framed else data)
        await self._connection.drain()

    async def receive(self) -> bytes:
        """Return input, or nothing at the client's half-close. Raises ConnectionError when it is gone."""
        return await self._connection.read()

    async def gone(self) -> None:
        """Return when the connection is lost."""
        await self._connection.closed.wait()

    async def tell(self, message: str) -> None:
        """Deliver a message of the daemon as output, where the client is still there."""
        try:
            await self.send(1, message.encode())
        except ConnectionError:
            return
