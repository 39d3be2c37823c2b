"""Connections that the kernel remembers: those from before a change must not catch a client's later packets.

TCP ends by itself; a UDP client that goes on from one port would be led to where its first packet went for as long as
it sends: to a container that is gone, or to the host itself where that was before the port was published.
"""

import contextlib
import socket
import struct
from collections.abc import Collection, Iterator
from typing import NamedTuple

_NETLINK_NETFILTER = 12
_NEW, _GET, _DELETE = (1 << 8), (1 << 8) | 1, (1 << 8) | 2
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_DONE, _ERROR = 3, 2
_TUPLE_ORIG, _TUPLE_REPLY, _ZONE = 1, 2, 18
_TUPLE_IP, _TUPLE_PROTO, _IP_SOURCE, _IP_DESTINATION = 1, 2, 1, 2
_PROTO_NUMBER, _PROTO_DESTINATION = 1, 3
_TYPE_MASK = 0x3FFF
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_GENERIC = 4
_RECEIVE = 1 << 18


def forget_udp(addresses: Collection[str], ports: Collection[int]) -> int:
    """Forget UDP exchanges that containers' IPv4 addresses answer, and those with the host's own ports.

    Return how many. Raises OSError. Blocks; call in a thread.
    """
    sources = {socket.inet_aton(a) for a in addresses}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as netlink:
        netlink.bind((0, 0))
        netlink.settimeout(10)
        doomed = [entry for entry in _entries(netlink) if _is_meant(entry, sources, ports)]
        for entry in doomed:
            identity = b"".join(_packed(kind, entry[kind]) for kind in (_TUPLE_ORIG, _ZONE) if kind in entry)
            netlink.send(_message(_DELETE, _REQUEST | _ACK, identity))
            with contextlib.suppress(OSError):
                netlink.recv(_RECEIVE)
    return len(doomed)


def _entries(netlink: socket.socket) -> Iterator[dict[int, bytes]]:
    """Return the attributes of each IPv4 connection."""
    netlink.send(_message(_GET, _REQUEST | _DUMP, b""))
    while True:
        for kind, body in _messages(netlink.recv(_RECEIVE)):
            if kind in (_DONE, _ERROR):
                return
            if kind == _NEW:
                yield _attributes(body[_GENERIC:])


def _message(kind: int, flags: int, attributes: bytes) -> bytes:
    body = bytes([socket.AF_INET, 0, 0, 0]) + attributes
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        yield kind, data[offset + _HEADER.size : offset + length]
        offset += max((length + 3) & ~3, _HEADER.size)


def _attributes(data: bytes) -> dict[int, bytes]:
    """Return attributes by type, without the flags that nested ones bear."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


def _packed(kind: int, value: bytes) -> bytes:
    nested = 0x8000 if kind == _TUPLE_ORIG else 0
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind | nested) + value
    return attribute.ljust((len(attribute) + 3) & ~3, b"\0")


def _is_meant(entry: dict[int, bytes], sources: Collection[bytes], ports: Collection[int]) -> bool:
    """Tell whether it is a UDP exchange that one of the addresses answers, or the host itself at one of the ports."""
    original, reply = (_tuple(entry.get(kind, b"")) for kind in (_TUPLE_ORIG, _TUPLE_REPLY))
    if reply.protocol != socket.IPPROTO_UDP:
        return False
    translated = reply.source != original.destination
    return reply.source in sources or (not translated and original.port in ports)


class _Tuple(NamedTuple):
    source: bytes
    destination: bytes
    protocol: int
    port: int


def _tuple(data: bytes) -> _Tuple:
    parts = _attributes(data)
    addresses, protocol = _attributes(parts.get(_TUPLE_IP, b"")), _attributes(parts.get(_TUPLE_PROTO, b""))
    number = protocol.get(_PROTO_NUMBER, b"\0")[0]
    port = int.from_bytes(protocol.get(_PROTO_DESTINATION, b""), "big")
    return _Tuple(addresses.get(_IP_SOURCE, b""), addresses.get(_IP_DESTINATION, b""), number, port)
