"""The client's content stores, with a client that behaves as containerd's server of that service."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.api.handlers.buildkit import content as served
from engine.api.handlers.buildkit.session.content_store import NotInStore, SessionStore, StoreFailed
from engine.api.transport.h2_client import H2Client
from engine.api.transport.h2c import RpcServer
from engine.api.transport.rpc import Call, Code, RpcError
from engine.core.model.image import Descriptor
from engine.domain.builder.protocol.messages import content
from engine.domain.builder.sources.client_origin import ClientOrigin
from engine.domain.images.failures import MalformedImage
from engine.drivers.storage.content import READ_LIMIT

_STORE = "buildkit-attachable-store-id"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class _Client:
    """Blobs, by store and digest; `left` is what earlier writes have left, by their names."""

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.left: dict[str, bytes] = {}

    def endpoints(self) -> dict[str, Any]:
        return {"Info": self._info, "Read": self._read, "Write": self._write}

    def _find(self, digest: str, call: Call) -> bytes:
        try:
            return self.blobs[call.metadata[_STORE][0], digest]
        except KeyError:
            raise RpcError(Code.NOT_FOUND, f"content {digest}: not found") from None

    async def _info(self, request: Any, call: Call) -> Any:
        return content.InfoResponse(info=content.Info(size=len(self._find(request.digest, call))))

    async def _read(self, request: Any, call: Call) -> AsyncIterator[Any]:
        data = self._find(request.digest, call)[request.offset :]
        for at in range(0, len(data), 1 << 20):
            yield content.ReadContentResponse(offset=at, data=data[at : at + (1 << 20)])

    async def _write(self, call: Call) -> None:
        while (request := await call.receive()) is not None:
            if (call.metadata[_STORE][0], request.expected) in self.blobs:
                raise RpcError(Code.ALREADY_EXISTS, "it is there")
            data = self.left.get(request.ref, b"")
            if request.action:
                data = data if request.offset else b""
                assert request.offset == len(data)
                data += request.data
            self.left[request.ref] = data
            if request.action == 2:
                if _digest(data) != request.expected or len(data) != request.total:
                    raise RpcError(Code.FAILED_PRECONDITION, "unexpected digest")
                self.blobs[call.metadata[_STORE][0], request.expected] = self.left.pop(request.ref)
            await call.send(content.WriteContentResponse(action=request.action, offset=len(data)))


@pytest.fixture
async def peer() -> _Client:
    return _Client()


@pytest.fixture
async def store(peer: _Client) -> AsyncIterator[SessionStore]:
    server = RpcServer({served.SERVICE: peer.endpoints()}, lambda error: RpcError(Code.INTERNAL, repr(error)))
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(server.protocol, theirs)
    _, client = await loop.create_connection(H2Client, sock=ours)
    yield SessionStore(client, "oci:x")
    client.close()
    server.close()
    await client.closed.wait()


async def _chunks(data: bytes, size: int = 3 << 20) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("size", [0, 1, 1 << 20, 7_000_001])
async def test_what_is_written_can_be_read(store: SessionStore, peer: _Client, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    await store.write(_digest(data), size, _chunks(data))
    assert peer.blobs["oci:x", _digest(data)] == data
    assert await store.size(_digest(data)) == size
    assert b"".join([chunk async for chunk in store.read(_digest(data), min(size, 5))]) == data[5:]


async def test_what_is_there_is_not_written_again(store: SessionStore, peer: _Client) -> None:
    peer.blobs["oci:x", _digest(b"a")] = b"a"
    await store.write(_digest(b"a"), 1, _chunks(b"a"))
    assert not peer.left


async def test_what_an_earlier_write_has_left_is_overwritten(store: SessionStore, peer: _Client) -> None:
    peer.left[f"wharf-{_digest(b'abc')}"] = b"xx"
    await store.write(_digest(b"abc"), 3, _chunks(b"abc", 1))
    assert peer.blobs["oci:x", _digest(b"abc")] == b"abc"


async def test_failures(store: SessionStore) -> None:
    missing = _digest(b"missing")
    with pytest.raises(NotInStore, match=f"content {missing}: not found"):
        await store.size(missing)
    with pytest.raises(NotInStore):
        assert [chunk async for chunk in store.read(missing)]
    with pytest.raises(StoreFailed, match="unexpected digest"):
        await store.write(missing, 3, _chunks(b"abc"))


async def test_documents_have_a_limit(store: SessionStore, peer: _Client) -> None:
    data = bytes(READ_LIMIT + 1)
    peer.blobs["oci:x", _digest(data)] = data
    with pytest.raises(MalformedImage, match="is larger than"):
        await ClientOrigin(store).manifest(Descriptor(media_type="", digest=_digest(data), size=2))
