"""The client's directories: fsutil's protocol as the receiver.

The client sends an entry for each thing in the tree, then an empty one; we ask for the files whose content we lack,
while it still sends; FIN from us when all has come, FIN from it. Disk work goes on in a thread, batch by batch, while
the next batch comes.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote_plus

from engine.api.transport.h2_client import H2Client
from engine.api.transport.h2_exchange import H2Exchange
from engine.api.transport.rpc import Code, RpcError
from engine.api.wire.fsutil import decode_entry
from engine.core.errors import Internal
from engine.domain.builder.protocol.messages import Message, fsutil, service
from engine.domain.builder.session import SyncRequest
from engine.drivers.confine.receive_tree import TreeReceiver

DIFF_COPY = service("moby.filesync.v1.FileSync")["DiffCopy"]
STAT, REQ, DATA, FIN, ERR = range(5)


class TransferFailed(Internal):
    """The client cannot send what was asked for."""


class _Transfer:
    """One directory on its way."""

    def __init__(self, receiver: TreeReceiver) -> None:
        self.size = 0
        self.walked = False
        self.finished = False
        self._receiver = receiver

    def take(self, batch: Sequence[Message]) -> list[int]:
        """Act on packets; return the numbers of the files to ask for. Blocks; call in a thread."""
        wanted = []
        for packet in batch:
            self.size += packet.ByteSize()
            kind = packet.type
            if kind == DATA:
                self._receiver.write(packet.ID, packet.data)
            elif kind == STAT:
                number = self._entry(packet)
                if number is not None:
                    wanted.append(number)
            elif kind == ERR:
                raise TransferFailed(packet.data.decode(errors="replace"))
            elif kind == FIN:
                self.finished = True
        return wanted

    def _entry(self, packet: Message) -> int | None:
        if packet.HasField("stat"):
            return self._receiver.add(decode_entry(packet.stat))
        self.walked = True
        return None

    @property
    def complete(self) -> bool:
        """Whether everything has come."""
        return self.walked and not self._receiver.waiting


async def receive(client: H2Client, request: SyncRequest, into: Path, transferred: Callable[[int], None]) -> None:
    """Bring a directory of the client's into one of ours. Raises RpcError, TransferRefused, TransferFailed, OSError."""
    receiver = await asyncio.to_thread(TreeReceiver, into)
    try:
        transfer = _Transfer(receiver)
        async with client.exchange(DIFF_COPY, _metadata(request)) as exchange:
            await _run(exchange, transfer, transferred)
        await asyncio.to_thread(receiver.finish)
    finally:
        await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(receiver.close)))


async def _run(exchange: H2Exchange, transfer: _Transfer, transferred: Callable[[int], None]) -> None:
    ended = False
    while not transfer.finished:
        batch = await exchange.receive_all()
        if not batch:
            break
        # Not cancelled in the middle: the receiver must not be closed under the thread's feet.
        work = asyncio.ensure_future(asyncio.to_thread(transfer.take, batch))
        try:
            wanted = await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work})
            raise
        transferred(transfer.size)
        if wanted:
            await exchange.send_all([fsutil.Packet(type=REQ, ID=number) for number in wanted])
        if transfer.complete and not ended:
            ended = True
            await exchange.send(fsutil.Packet(type=FIN))
    if not transfer.complete:
        raise RpcError(Code.UNAVAILABLE, "the transfer ended too early")
    await exchange.end()
    await exchange.receive_all()


def _metadata(request: SyncRequest) -> list[tuple[str, str]]:
    lists = {
        "include-patterns": request.include,
        "exclude-patterns": request.exclude,
        "followpaths": request.follow,
    }
    fields = [("dir-name", request.name)]
    for key, values in lists.items():
        fields += _encoded(key, values)
    return fields


def _encoded(key: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """Return a field for each value; where HTTP/2 cannot carry one, all are quoted (BuildKit `encodeOpts`)."""
    if all(value.isascii() and value.isprintable() for value in values):
        return [(key, value) for value in values]
    return [(f"{key}-encoded", "1"), *((key, quote_plus(value)) for value in values)]
