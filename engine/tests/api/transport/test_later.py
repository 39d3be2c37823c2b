"""A connection that waits for its protocol."""

import asyncio
import socket

from engine.api.transport.later import Later


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data.upper())


async def _connected(later: Later) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    ours, theirs = socket.socketpair()
    await asyncio.get_running_loop().connect_accepted_socket(lambda: later, ours)
    return await asyncio.open_connection(sock=theirs)


async def test_what_comes_before_the_protocol_is_kept_for_it() -> None:
    made = asyncio.Event()

    async def make() -> asyncio.Protocol:
        await made.wait()
        return _Echo()

    later = Later(make)
    reader, writer = await _connected(later)
    later.data_received(b"one ")
    writer.write(b"two ")
    await asyncio.sleep(0)
    made.set()
    assert await reader.readexactly(8) == b"ONE TWO "
    writer.write(b"three")
    assert await reader.readexactly(5) == b"THREE"
    writer.close()


async def test_a_connection_without_a_protocol_is_closed() -> None:
    async def make() -> asyncio.Protocol:
        raise OSError("no memory")

    reader, writer = await _connected(Later(make))
    assert await reader.read() == b""
    writer.close()
