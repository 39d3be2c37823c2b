"""TLS with half-close, on both event loops."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from engine.api.transport.tls import TlsConnection

_LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class _Echo(asyncio.Protocol):
    """Answers at the end of the client's input, with all of it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        asyncio.get_running_loop().call_later(0.05, self._answer)
        return True

    def _answer(self) -> None:
        self.transport.write(bytes(self.received))  # type: ignore[attr-defined]
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


class _Peer:
    """A client that, as Go's, ends its direction with close_notify and reads on."""

    def __init__(self, context: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self._reader, self._writer = reader, writer

    async def do(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self.flush()
                data = await self._reader.read(65536)
                if not data:
                    raise ConnectionError("ended without close_notify") from None
                self.incoming.write(data)
            else:
                await self.flush()
                return result

    async def flush(self) -> None:
        self._writer.write(self.outgoing.read())
        await self._writer.drain()

    async def half_close(self) -> None:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        await self.flush()

    async def read_all(self) -> bytes:
        data = bytearray()
        while True:
            try:
                data += await self.do(lambda: self.tls.read(65536))
            except ssl.SSLZeroReturnError:
                return bytes(data)


async def _serve(context: ssl.SSLContext) -> tuple[asyncio.Server, int, list[_Echo]]:
    made: list[_Echo] = []

    def factory() -> _Echo:
        made.append(_Echo())
        return made[-1]

    server = await asyncio.get_running_loop().create_server(lambda: TlsConnection(context, factory), "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1], made


def _run(loop_factory: Callable[[], asyncio.AbstractEventLoop], work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(work)


def _contexts(certificates: Path, version: ssl.TLSVersion) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    server.maximum_version = version
    return server, ssl.create_default_context(cafile=str(certificates / "ca.pem"))


@pytest.mark.parametrize("loop_factory", _LOOPS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_answers_after_the_client_has_ended_its_input(
    certificates: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop], version: ssl.TLSVersion
) -> None:
    server_context, client_context = _contexts(certificates, version)

    async def work() -> None:
        server, port, made = await _serve(server_context)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        peer = _Peer(client_context, reader, writer)
        await peer.do(peer.tls.do_handshake)
        assert peer.tls.version() == ("TLSv1.2" if version == ssl.TLSVersion.TLSv1_2 else "TLSv1.3")
        sent = bytes(range(256)) * 2000
        for start in range(0, len(sent), 10000):
            await peer.do(lambda start=start: peer.tls.write(sent[start : start + 10000]))  # type: ignore[misc]
        await peer.half_close()
        assert await peer.read_all() == sent
        assert made[0].received == sent
        writer.close()
        server.close()

    _run(loop_factory, work())


def test_plain_http_is_told_so(certificates: Path) -> None:
    server_context, _ = _contexts(certificates, ssl.TLSVersion.TLSv1_3)

    async def work() -> None:
        server, port, made = await _serve(server_context)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read()
        assert answer.endswith(b"Client sent an HTTP request to an HTTPS server.\n")
        assert made == []
        writer.close()
        server.close()

    asyncio.run(work())


def test_a_cut_connection_is_lost(certificates: Path) -> None:
    server_context, client_context = _contexts(certificates, ssl.TLSVersion.TLSv1_3)

    async def work() -> None:
        server, port, made = await _serve(server_context)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        peer = _Peer(client_context, reader, writer)
        await peer.do(peer.tls.do_handshake)
        await peer.do(lambda: peer.tls.write(b"half a requ"))
        writer.close()
        await asyncio.sleep(0.1)
        assert made[0].lost
        server.close()

    asyncio.run(work())
