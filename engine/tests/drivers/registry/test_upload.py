"""Blobs to a registry: every byte, and a way out whatever the registry does meanwhile."""

import asyncio
import contextlib
import os

import pytest
import pytest_asyncio
import uvloop

from engine.core import digest as digests
from engine.core import references
from engine.core.model.image import Descriptor
from engine.drivers.registry import blob_body, upload
from engine.drivers.registry.credentials import ANONYMOUS
from engine.drivers.registry.failures import RegistryUnreachable, UnexpectedStatus
from engine.drivers.registry.repository import Repository
from engine.drivers.registry.settings import RegistrySettings
from engine.drivers.registry.transport import Transport

NOISE = os.urandom(30_000_000)  # More than the buffers of a connection.
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nLocation: /v2/a/blobs/uploads/1\r\nContent-Length: 0\r\n\r\n"
_CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
_DENIED = b'{"errors":[{"code":"DENIED","message":"quota exceeded"}]}'


class Uploads:
    """A registry that takes one upload. `behaviour`: take, deny (and read nothing), break, stall (until `gate`)."""

    def __init__(self):
        self.behaviour = "take"
        self.received = b""
        self.gate = asyncio.Event()
        self.gone = asyncio.Event()

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self):
        self.gate.set()
        self._server.close()

    async def _serve(self, reader, writer):
        while (first := await reader.read(1)) not in (b"", b"\x16"):  # The latter would be TLS.
            line, size = first + await reader.readline(), 0
            while (field := await reader.readline()) != b"\r\n":
                if field.lower().startswith(b"content-length:"):
                    size = int(field.split(b":")[1])
            if line.startswith(b"PUT") and self.behaviour == "break":
                await reader.readexactly(size // 2)
                writer.transport.abort()
                return
            if line.startswith(b"PUT"):
                await getattr(self, f"_{self.behaviour}")(reader, writer, size)
            else:
                writer.write(_ACCEPTED)
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        writer.close()

    async def _take(self, reader, writer, size):
        self.received = await reader.readexactly(size)
        writer.write(_CREATED)

    async def _deny(self, reader, writer, size):
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(_DENIED), _DENIED))
        await self._stall(reader, writer, size)

    async def _stall(self, reader, writer, size):
        await self.gate.wait()
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 20):
                pass
        self.gone.set()


@pytest_asyncio.fixture
async def uploads():
    made = Uploads()
    await made.start()
    yield made
    made.stop()


@pytest_asyncio.fixture
async def send(uploads, tmp_path):
    """Send NOISE; what it returns are the numbers of bytes that progress was told of."""
    path, transport = tmp_path / "blob", Transport(RegistrySettings())
    path.write_bytes(NOISE)
    blob = Descriptor(media_type="", digest=digests.of(NOISE), size=len(NOISE))
    source = Repository(transport, references.parse(f"{uploads.host}/a:1"), ANONYMOUS, "push").origin
    told = []

    async def sending():
        await upload.put_blob(source, await upload.begin(source), upload.Blob(path, blob), told.append)
        return told

    sending.told = told
    yield sending
    await transport.close()


async def test_every_byte_arrives(uploads, send):
    told = await send()
    assert uploads.received == NOISE
    assert told == sorted(told)
    assert told[-1] == len(NOISE)


async def test_connections_that_must_be_written_to(uploads, send, monkeypatch):
    monkeypatch.setattr(blob_body, "_plain", lambda writer: None)
    told = await send()
    assert uploads.received == NOISE
    assert told[-1] == len(NOISE)


async def test_a_refusal_comes_before_all_is_sent(uploads, send):
    uploads.behaviour = "deny"
    with pytest.raises(UnexpectedStatus, match="^error from registry: quota exceeded$"):
        await asyncio.wait_for(send(), 30)


async def test_a_broken_connection(uploads, send):
    uploads.behaviour = "break"
    with pytest.raises(RegistryUnreachable, match=r"connection reset by peer|broken pipe|unexpected EOF"):
        await asyncio.wait_for(send(), 30)


async def test_a_registry_that_takes_nothing_more(uploads, send, monkeypatch):
    monkeypatch.setattr(blob_body, "_PATIENCE", 0.2)
    uploads.behaviour = "stall"
    with pytest.raises(RegistryUnreachable):
        await asyncio.wait_for(send(), 30)


async def test_given_up_in_the_middle(uploads, send):
    uploads.behaviour = "stall"
    before = len(os.listdir("/proc/self/fd"))
    sending = asyncio.ensure_future(send())
    while not send.told:
        await asyncio.sleep(0.01)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(sending, 30)
    uploads.gate.set()
    await asyncio.wait_for(uploads.gone.wait(), 30)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_connections_of_uvloop_take_files():
    async def found():
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        transport = blob_body._plain(writer)
        writer.close()
        server.close()
        return transport is writer.transport

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(found())
