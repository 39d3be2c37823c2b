"""Hears when somebody removes our rules: `nft flush ruleset`, `iptables -F`, a reload of the host's own rules.

The kernel tells of every change of nf_tables; only removals count.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator

_HEADER = struct.Struct("=IHHII")
_NETLINK_NETFILTER = 12
_NFTABLES_GROUP = 1 << 6  # NFNLGRP_NFTABLES is 7
_NFTABLES = 10 << 8  # NFNL_SUBSYS_NFTABLES
_DELETED_TABLE, _DELETED_RULE = _NFTABLES | 2, _NFTABLES | 8  # NFT_MSG_DELTABLE, NFT_MSG_DELRULE
_RECEIVE = 1 << 16
_IPTABLES_TABLES = (b"filter\0", b"nat\0", b"raw\0")
_IPTABLES_CHAINS = (b"FORWARD\0", b"PREROUTING\0", b"POSTROUTING\0", b"OUTPUT\0")

Matches = Callable[[int, bytes], bool]


def taken_from_table(name: str) -> Matches:
    """Return what tells of removals of a table, or of rules in it."""
    wanted = name.encode() + b"\0"
    return lambda kind, message: wanted in message


def either(*matches: Matches) -> Matches:
    """Return what tells of the removals that any of these tells of."""
    return lambda kind, message: any(match(kind, message) for match in matches)


def taken_from_iptables(kind: int, message: bytes) -> bool:
    """Tell of removals of iptables' tables, and of rules in the chains that packets come through first."""
    names = _IPTABLES_TABLES if kind == _DELETED_TABLE else _IPTABLES_CHAINS
    return any(name in message for name in names)


class RulesWatch:
    """Calls `removed` for removals that match, ours included."""

    def __init__(self, matches: Matches, removed: Callable[[], None]) -> None:
        """Raises OSError where the kernel does not tell. Call it on the event loop."""
        self._matches = matches
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
        if any(self._matches(kind, message) for kind, message in _deletions(data)):
            self._removed()

    def close(self) -> None:
        """Hear no more."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()


def _deletions(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        if kind in (_DELETED_TABLE, _DELETED_RULE):
            yield kind, data[offset : offset + length]
        offset += max((length + 3) & ~3, _HEADER.size)
