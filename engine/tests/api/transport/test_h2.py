"""gRPC between our client and our server: calls, streams larger than any window, errors, ends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.api.transport import h2_frames as h2
from engine.api.transport.h2_client import H2Client
from engine.api.transport.h2_exchange import LARGEST_MESSAGE
from engine.api.transport.h2_tunnel import TunnelTransport
from engine.api.transport.h2c import RpcServer
from engine.api.transport.rpc import Call, Code, ConnectionLost, RpcError, messages
from engine.core.errors import NotFound
from engine.domain.builder.protocol.messages import control, fsutil, service

_CONTROL = service("moby.buildkit.v1.Control")
_DETAILS = (("example.com/Type+json", b'{"a": 1}'), ("other", b"\0\xff"))


class _Echo:
    """Answers in every way there is."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.metadata: Any = None

    def endpoints(self) -> dict[str, Any]:
        return {"Info": self._info, "Solve": self._solve, "Status": self._status, "Session": self._session}

    async def _info(self, _request: Any, call: Call) -> Any:
        self.metadata = call.metadata
        return control.InfoResponse()

    async def _solve(self, request: Any, _call: Call) -> Any:
        if request.Ref == "details":
            raise RpcError(Code.UNKNOWN, "größer als", _DETAILS)
        if request.Ref == "missing":
            raise NotFound("no such thing")
        if request.Ref == "bug":
            raise ZeroDivisionError
        try:
            await asyncio.sleep(60)
        finally:
            self.cancelled.set()

    async def _status(self, request: Any, _call: Call) -> AsyncIterator[Any]:
        for number in range(int(request.Ref)):
            yield control.StatusResponse(logs=[control.VertexLog(vertex=str(number), msg=b"x" * 1000)])

    async def _session(self, call: Call) -> None:
        while (message := await call.receive()) is not None:
            await call.send(message)


def _failed(error: Exception) -> RpcError:
    return RpcError(Code.NOT_FOUND if isinstance(error, NotFound) else Code.INTERNAL, str(error) or "a bug")


@pytest.fixture
async def echo() -> _Echo:
    return _Echo()


@pytest.fixture
async def client(echo: _Echo) -> AsyncIterator[H2Client]:
    server = RpcServer({"moby.buildkit.v1.Control": echo.endpoints()}, _failed)
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(server.protocol, theirs)
    _, client = await loop.create_connection(H2Client, sock=ours)
    yield client
    client.close()
    server.close()
    await client.closed.wait()


async def test_a_call(client: H2Client, echo: _Echo) -> None:
    await client.call(_CONTROL["Info"], control.InfoRequest(), [("key", "a"), ("key", "b"), ("other", "")])
    assert list(echo.metadata["key"]) == ["a", "b"]


async def test_replies_that_come_one_by_one(client: H2Client) -> None:
    async with client.exchange(_CONTROL["Status"]) as exchange:
        await exchange.send(control.StatusRequest(Ref="3000"))
        await exchange.end()
        found = [message.logs[0].vertex async for message in messages(exchange)]
    assert found == [str(number) for number in range(3000)]


async def test_streams_larger_than_the_windows(client: H2Client) -> None:
    data = bytes(range(256)) * 4096
    async with client.exchange(_CONTROL["Session"]) as exchange:

        async def send() -> None:
            for _ in range(40):
                await exchange.send(control.BytesMessage(data=data))
            await exchange.end()

        sending = asyncio.ensure_future(send())
        received = [message.data == data async for message in messages(exchange)]
        await sending
    assert received == [True] * 40


async def test_calls_beside_each_other(client: H2Client) -> None:
    async def count(number: int) -> int:
        async with client.exchange(_CONTROL["Status"]) as exchange:
            await exchange.send(control.StatusRequest(Ref=str(number)))
            await exchange.end()
            return len([message async for message in messages(exchange)])

    assert await asyncio.gather(*(count(number) for number in range(50))) == list(range(50))


@pytest.mark.parametrize(
    ("ref", "code", "message", "details"),
    [
        ("details", Code.UNKNOWN, "größer als", _DETAILS),
        ("missing", Code.NOT_FOUND, "no such thing", ()),
        ("bug", Code.INTERNAL, "a bug", ()),
    ],
)
async def test_errors_come_whole(client: H2Client, ref: str, code: Code, message: str, details: Any) -> None:
    with pytest.raises(RpcError) as error:
        await client.call(_CONTROL["Solve"], control.SolveRequest(Ref=ref))
    assert (error.value.code, error.value.message, error.value.details) == (code, message, details)


async def test_unknown_methods(client: H2Client) -> None:
    with pytest.raises(RpcError) as error:
        await client.call(_CONTROL["Prune"], control.PruneRequest())
    assert error.value.code == Code.UNIMPLEMENTED
    assert error.value.message == "unknown method or service"


async def test_a_call_that_is_given_up_is_cancelled_there(client: H2Client, echo: _Echo) -> None:
    call = asyncio.ensure_future(client.call(_CONTROL["Solve"], control.SolveRequest(Ref="long")))
    await asyncio.sleep(0.05)
    call.cancel()
    await asyncio.wait_for(echo.cancelled.wait(), 5)
    await client.call(_CONTROL["Info"], control.InfoRequest())


async def test_a_lost_connection_fails_calls_and_cancels_them_there(client: H2Client, echo: _Echo) -> None:
    call = asyncio.ensure_future(client.call(_CONTROL["Solve"], control.SolveRequest(Ref="long")))
    await asyncio.sleep(0.05)
    client.close()
    with pytest.raises(ConnectionLost):
        await call
    await asyncio.wait_for(echo.cancelled.wait(), 5)
    with pytest.raises(ConnectionLost):
        await client.call(_CONTROL["Info"], control.InfoRequest())


async def test_the_servers_end_waits_for_calls_to_clean_up(echo: _Echo) -> None:
    server = RpcServer({"moby.buildkit.v1.Control": echo.endpoints()}, _failed)
    ours, theirs = socket.socketpair()
    await asyncio.get_running_loop().connect_accepted_socket(server.protocol, theirs)
    _, client = await asyncio.get_running_loop().create_connection(H2Client, sock=ours)
    call = asyncio.ensure_future(client.call(_CONTROL["Solve"], control.SolveRequest(Ref="long")))
    await asyncio.sleep(0.05)
    server.close()
    await asyncio.wait_for(server.wait_closed(), 5)
    assert echo.cancelled.is_set()
    with pytest.raises(ConnectionLost):
        await call


async def test_a_reader_that_leaves_early_leaves_the_connection_usable(client: H2Client) -> None:
    for _ in range(5):
        async with client.exchange(_CONTROL["Status"]) as exchange:
            await exchange.send(control.StatusRequest(Ref="20000"))
            await exchange.end()
            assert await exchange.receive()
    await client.call(_CONTROL["Info"], control.InfoRequest())


async def test_a_connection_within_a_call(client: H2Client) -> None:
    """A session that is tunnelled: the server is the client within."""
    inner = RpcServer({"moby.buildkit.v1.Control": _Echo().endpoints()}, _failed)
    outcome: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    class Tunnelling(_Echo):
        async def _session(self, call: Call) -> None:
            within = H2Client()
            pumping = asyncio.ensure_future(TunnelTransport(call, within).pump())
            await asyncio.sleep(0.05)
            async with within.exchange(_CONTROL["Status"]) as exchange:
                await exchange.send(control.StatusRequest(Ref="10000"))
                await exchange.end()
                outcome.set_result(len([message async for message in messages(exchange)]))
            await pumping

    outer = RpcServer({"moby.buildkit.v1.Control": Tunnelling().endpoints()}, _failed)
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(outer.protocol, theirs)
    _, carrier = await loop.create_connection(H2Client, sock=ours)
    inside = inner.protocol()
    async with carrier.exchange(_CONTROL["Session"]) as exchange:
        pumping = asyncio.ensure_future(TunnelTransport(_AsCall(exchange), inside).pump())
        assert await asyncio.wait_for(outcome, 10) == 10000
        await exchange.end()
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)
    carrier.close()
    outer.close()


class _AsCall:
    """An exchange of ours, seen as a call."""

    metadata: Any = None

    def __init__(self, exchange: Any) -> None:
        self.receive, self.send = exchange.receive, exchange.send

    async def begin(self, _metadata: Any = ()) -> None:
        return


# A peer that does not keep to the rules.


class _Peer:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.writer.write(h2.settings({}))


@pytest.fixture
async def hostile() -> AsyncIterator[tuple[H2Client, _Peer]]:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=theirs)
    _, client = await asyncio.get_running_loop().create_connection(H2Client, sock=ours)
    yield client, _Peer(reader, writer)
    client.close()
    writer.close()
    await client.closed.wait()


_OK = b"\x88"  # HPACK's `:status: 200`, from its static table.


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\0\0\0\0\0\1",
        h2.build(h2.PUSH_PROMISE, h2.END_HEADERS, 1, b"\0\0\0\2"),
        h2.build(h2.CONTINUATION, h2.END_HEADERS, 1, b""),
        h2.build(h2.HEADERS, 0, 1, _OK) + h2.build(h2.PING, 0, 0, b"12345678"),
        h2.build(h2.HEADERS, h2.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff\xff"),
        h2.build(h2.HEADERS, h2.END_HEADERS | h2.PADDED, 1, b"\x09"),
        h2.build(h2.SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"),
        h2.build(h2.SETTINGS, 0, 0, b"\0\4\xff"),
        h2.build(h2.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
        h2.build(h2.WINDOW_UPDATE, 0, 1, b"\0"),
        h2.build(h2.HEADERS, h2.END_HEADERS, 1, _OK) + h2.build(h2.DATA, 0, 1, b"\1\0\0\0\1x"),
        h2.build(h2.HEADERS, h2.END_HEADERS, 1, _OK)
        + h2.build(h2.DATA, 0, 1, b"\0" + (LARGEST_MESSAGE + 1).to_bytes(4, "big")),
    ],
)
async def test_violations_end_the_connection(hostile: tuple[H2Client, _Peer], data: bytes) -> None:
    client, peer = hostile
    call = asyncio.ensure_future(client.call(_CONTROL["Info"], control.InfoRequest()))
    await asyncio.sleep(0.01)
    peer.writer.write(data)
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(call, 5)
    assert client.closed.is_set()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (h2.reset(1, h2.CANCEL), Code.UNAVAILABLE),
        (h2.build(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, _OK), Code.UNKNOWN),
        (h2.build(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, b"\x8d"), Code.UNKNOWN),
        (h2.build(h2.GOAWAY, 0, 0, bytes(8)), Code.UNAVAILABLE),
        (
            h2.build(h2.HEADERS, h2.END_HEADERS, 1, _OK) + h2.build(h2.DATA, 0, 1, b"\0\0\0\0\3\x0a\xff\xff"),
            Code.INTERNAL,
        ),
    ],
)
async def test_calls_that_end_badly(hostile: tuple[H2Client, _Peer], data: bytes, code: Code) -> None:
    client, peer = hostile
    call = asyncio.ensure_future(client.call(_CONTROL["Info"], control.InfoRequest()))
    await asyncio.sleep(0.01)
    peer.writer.write(data)
    with pytest.raises(RpcError) as error:
        await asyncio.wait_for(call, 5)
    assert error.value.code == code


async def test_large_messages_in_small_frames_are_put_together_once(hostile: tuple[H2Client, _Peer]) -> None:
    client, peer = hostile
    packet = fsutil.Packet(data=bytes(8 << 20)).SerializeToString()
    envelope = b"\0" + len(packet).to_bytes(4, "big") + packet
    frames = [h2.build(h2.DATA, 0, 1, envelope[at : at + 1024]) for at in range(0, len(envelope), 1024)]
    method = service("moby.filesync.v1.FileSync")["DiffCopy"]
    async with client.exchange(method) as exchange:
        peer.writer.write(h2.build(h2.HEADERS, h2.END_HEADERS, 1, _OK) + b"".join(frames))
        message = await asyncio.wait_for(exchange.receive(), 10)
    assert len(message.data) == 8 << 20


async def test_pings_are_answered(hostile: tuple[H2Client, _Peer]) -> None:
    _, peer = hostile
    peer.writer.write(h2.build(h2.PING, 0, 0, b"12345678"))
    wanted = h2.build(h2.PING, h2.ACK, 0, b"12345678")
    data = b""
    while wanted not in data:
        data += await asyncio.wait_for(peer.reader.read(1000), 5)
