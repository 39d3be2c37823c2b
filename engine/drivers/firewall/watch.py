"""Hears when somebody removes our tables: `nft flush ruleset`, a reload of the host's own rules.

The kernel tells of every change of nf_tables; only removals of tables that bear our name count.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator

_HEADER = struct.Struct("=IHHII")
_NETLINK_NETFILTER = 12
_NFTABLES_GROUP = 1 << 6  # NFNLGRP_NFTABLES is 7
_DELETED_TABLE = (10 << 8) | 2  # NFNL_SUBSYS_NFTABLES, NFT_MSG_DELTABLE
_RECEIVE = 1 << 16


class TableWatch:
    """Calls `removed` for each removal of a table of that name, ours included."""

    def __init__(self, table: str, removed: Callable[[], None]) -> None:
        """Raises OSError where the kernel does not tell. Call it on the event loop."""
        self._name = table.encode() + b"\0"
        self._removed = removed
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)
        self._socket.bind((0, _NFTABLES_GROUP))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:  # ENOBUFS: some messages were lost, perhaps the one that matters
            self._removed()
            return
        if any(self._name in message for message in _deletions(data)):
            self._removed()

    def close(self) -> None:
        """Hear no more."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()


def _deletions(data: bytes) -> Iterator[bytes]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        if kind == _DELETED_TABLE:
            yield data[offset : offset + length]
        offset += max((length + 3) & ~3, _HEADER.size)
