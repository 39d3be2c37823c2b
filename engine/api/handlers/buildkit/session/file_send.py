"""Results sent to the client: an archive as it comes, or a directory in fsutil's protocol with us as the sender."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from engine.api.handlers.buildkit.session.file_sync import DATA, ERR, FIN, REQ, STAT, TransferFailed
from engine.api.transport.h2_client import H2Client
from engine.api.transport.h2_exchange import H2Exchange
from engine.api.transport.rpc import Metadata
from engine.api.wire.fsutil import encode_entry
from engine.core import times
from engine.core.errors import InvalidParameter
from engine.domain.builder.protocol.messages import filesync, fsutil, service
from engine.domain.builder.session import Outgoing
from engine.drivers.confine.send_tree import TreeSender
from engine.drivers.confine.tree_entry import TreeEntry

FILE = service("moby.filesync.v1.FileSend")["DiffCopy"]
# The same method; declared for bytes, it carries fsutil's packets when the client wants a directory.
_TREE = replace(FILE, request=fsutil.Packet, reply=fsutil.Packet)
_CHUNK = 32 << 10
_BATCH = 32
_MESSAGE = 1 << 20


class UnknownFile(InvalidParameter):
    """The client asks for content that the tree has not."""

    def __init__(self, number: int) -> None:
        super().__init__(f"invalid file request {number}")


def _metadata(outgoing: Outgoing) -> Metadata:
    return [
        ("buildkit-attachable-exporter-id", str(outgoing.exporter)),
        *((f"exporter-md-{key}", value) for key, value in outgoing.metadata.items()),
    ]


async def send_file(client: H2Client, outgoing: Outgoing, chunks: AsyncIterator[bytes]) -> None:
    """Send an archive. Raises RpcError, and what making the archive raises."""
    size = 0
    async with client.exchange(FILE, _metadata(outgoing)) as exchange:
        async for chunk in chunks:
            for start in range(0, len(chunk), _MESSAGE):
                await exchange.send(filesync.BytesMessage(data=chunk[start : start + _MESSAGE]))
            size += len(chunk)
            outgoing.sent(size)
        await exchange.end()
        while await exchange.receive_all():
            pass


async def send_tree(client: H2Client, outgoing: Outgoing, tree: Path) -> None:
    """Send a directory. Raises RpcError, TransferFailed, OSError."""
    sender = await asyncio.to_thread(TreeSender, tree)
    try:
        entries = _below(outgoing.prefix, await asyncio.to_thread(sender.entries))
        async with client.exchange(_TREE, _metadata(outgoing)) as exchange:
            await _announce(exchange, entries)
            await _Content(exchange, sender, entries, outgoing).serve()
    finally:
        sender.close()


def _below(prefix: str, entries: list[TreeEntry]) -> list[TreeEntry]:
    if not prefix:
        return entries
    top = TreeEntry(prefix, stat.S_IFDIR | 0o755, mtime=times.now())
    return [top, *(replace(entry, path=f"{prefix}/{entry.path}") for entry in entries)]


async def _announce(exchange: H2Exchange, entries: list[TreeEntry]) -> None:
    for start in range(0, len(entries), _BATCH):
        packets = [fsutil.Packet(type=STAT, stat=encode_entry(entry)) for entry in entries[start : start + _BATCH]]
        await exchange.send_all(packets)
    await exchange.send(fsutil.Packet(type=STAT))


class _Content:
    """Files' content, as the client asks for it."""

    def __init__(self, exchange: H2Exchange, sender: TreeSender, entries: list[TreeEntry], outgoing: Outgoing) -> None:
        self._exchange = exchange
        self._sender = sender
        self._entries = entries
        self._outgoing = outgoing
        self._size = 0

    async def serve(self) -> None:
        """Answer until the client has all that it wants."""
        while batch := await self._exchange.receive_all():
            for packet in batch:
                if packet.type == REQ:
                    await self._send(packet.ID)
                elif packet.type == ERR:
                    raise TransferFailed(packet.data.decode(errors="replace"))
                elif packet.type == FIN:
                    await self._exchange.send(fsutil.Packet(type=FIN))
                    await self._exchange.end()

    async def _send(self, number: int) -> None:
        if number >= len(self._entries):
            raise UnknownFile(number)
        path = self._entries[number].path
        own = path[len(self._outgoing.prefix) + 1 :] if self._outgoing.prefix else path
        fd = await asyncio.to_thread(self._sender.open, own)
        try:
            while data := await asyncio.to_thread(os.read, fd, _CHUNK * _BATCH):
                pieces = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
                await self._exchange.send_all([fsutil.Packet(type=DATA, ID=number, data=piece) for piece in pieces])
                self._size += len(data)
                self._outgoing.sent(self._size)
            await self._exchange.send(fsutil.Packet(type=DATA, ID=number))
        finally:
            os.close(fd)
