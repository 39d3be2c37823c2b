"""Results sent to the client: an archive as it comes, or a directory in fsutil's protocol with us as the sender."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

from engine.api.handlers.buildkit.session.file_sync import DATA, ERR, FIN, REQ, STAT, TransferFailed
from engine.api.transport.h2_client import H2Client
from engine.api.transport.h2_exchange import H2Exchange
from engine.api.transport.rpc import Metadata
from engine.api.wire.fsutil import encode_entry
from engine.core.errors import InvalidParameter
from engine.domain.builder.protocol.messages import Message, filesync, fsutil, service
from engine.drivers.confine.send_tree import TreeSender
from engine.drivers.confine.tree_entry import TreeEntry

FILE = service("moby.filesync.v1.FileSend")["DiffCopy"]
# The same method; declared for bytes, it carries fsutil's packets when the client wants a directory.
_TREE = replace(FILE, request=fsutil.Packet, reply=fsutil.Packet)
_CHUNK = 32 << 10
_BATCH = 32


class UnknownFile(InvalidParameter):
    """The client asks for content that the tree has not."""

    def __init__(self, number: int) -> None:
        super().__init__(f"invalid file request {number}")


def _metadata(exporter: int, metadata: Mapping[str, str]) -> Metadata:
    return [
        ("buildkit-attachable-exporter-id", str(exporter)),
        *((f"exporter-md-{key}", value) for key, value in metadata.items()),
    ]


async def send_file(client: H2Client, exporter: int, metadata: Mapping[str, str], chunks: AsyncIterator[bytes]) -> None:
    """Send an archive. Raises RpcError, and what making the archive raises."""
    async with client.exchange(FILE, _metadata(exporter, metadata)) as exchange:
        async for chunk in chunks:
            for start in range(0, len(chunk), _CHUNK * _BATCH):
                await exchange.send(filesync.BytesMessage(data=chunk[start : start + _CHUNK * _BATCH]))
        await exchange.end()
        while await exchange.receive_all():
            pass


async def send_tree(client: H2Client, exporter: int, metadata: Mapping[str, str], tree: Path) -> None:
    """Send a directory. Raises RpcError, TransferFailed, OSError."""
    sender = await asyncio.to_thread(TreeSender, tree)
    try:
        entries = await asyncio.to_thread(sender.entries)
        async with client.exchange(_TREE, _metadata(exporter, metadata)) as exchange:
            await _announce(exchange, entries)
            await _serve(exchange, sender, entries)
    finally:
        sender.close()


async def _announce(exchange: H2Exchange, entries: list[TreeEntry]) -> None:
    for start in range(0, len(entries), _BATCH):
        packets = [fsutil.Packet(type=STAT, stat=encode_entry(entry)) for entry in entries[start : start + _BATCH]]
        await exchange.send_all(packets)
    await exchange.send(fsutil.Packet(type=STAT))


async def _serve(exchange: H2Exchange, sender: TreeSender, entries: list[TreeEntry]) -> None:
    while batch := await exchange.receive_all():
        for packet in batch:
            if packet.type == REQ:
                if len(entries) <= packet.ID:
                    raise UnknownFile(packet.ID)
                await _content(exchange, sender, packet.ID, entries[packet.ID].path)
            elif packet.type == ERR:
                raise TransferFailed(packet.data.decode(errors="replace"))
            elif packet.type == FIN:
                await exchange.send(fsutil.Packet(type=FIN))
                await exchange.end()


async def _content(exchange: H2Exchange, sender: TreeSender, number: int, path: str) -> None:
    fd = await asyncio.to_thread(sender.open, path)
    try:
        while packets := await asyncio.to_thread(_read, fd, number):
            await exchange.send_all(packets)
        await exchange.send(fsutil.Packet(type=DATA, ID=number))
    finally:
        os.close(fd)


def _read(fd: int, number: int) -> list[Message]:
    """Return packets with the next part of a file, none at its end. Blocks; call in a thread."""
    data = os.read(fd, _CHUNK * _BATCH)
    return [
        fsutil.Packet(type=DATA, ID=number, data=data[start : start + _CHUNK]) for start in range(0, len(data), _CHUNK)
    ]
