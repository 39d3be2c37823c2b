"""As much of DNS messages (RFC 1035, 6891) as the embedded server needs: a question in, addresses out. Pure."""

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass

A, PTR, MX, AAAA, OPT = 1, 12, 15, 28, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
TTL = 600
_IN = 1
_HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
_QR, _TC, _RD, _RA = 0x8000, 0x0200, 0x0100, 0x0080
_OPCODE = 0x7800
_MINIMUM = 512
_POINTER_TO_QUESTION = b"\xc0\x0c"


class MalformedMessage(ValueError):
    """Not a DNS message, or one that this server has no business with."""


@dataclass(frozen=True, slots=True)
class Query:
    """A message with one question. `size` is how large an answer over UDP may be."""

    id: int
    flags: int
    name: str
    kind: int
    question: bytes
    size: int = _MINIMUM


def parse_query(wire: bytes) -> Query:
    """Read a query. Raises MalformedMessage."""
    if len(wire) < _HEADER.size:
        raise MalformedMessage("too short")
    number, flags, questions, answers, _, additional = _HEADER.unpack_from(wire)
    if flags & (_QR | _OPCODE) or questions != 1 or answers:
        raise MalformedMessage("not a plain query")
    name, end = _read_name(wire, _HEADER.size)
    if end + _QUESTION.size > len(wire):
        raise MalformedMessage("the question is cut off")
    kind, kind_class = _QUESTION.unpack_from(wire, end)
    if kind_class != _IN:
        raise MalformedMessage("not of the Internet class")
    end += _QUESTION.size
    size = _edns_size(wire, end) if additional else _MINIMUM
    return Query(number, flags, name, kind, wire[_HEADER.size : end], size)


def _read_name(wire: bytes, offset: int) -> tuple[str, int]:
    """Return a name in lower case without its last dot, and where it ends. A question's name is never compressed."""
    labels: list[str] = []
    length_of_all = 0
    while True:
        if offset >= len(wire):
            raise MalformedMessage("the name is cut off")
        length = wire[offset]
        offset += 1
        if length == 0:
            return ".".join(labels), offset
        length_of_all += length + 1
        if length > 63 or length_of_all > 254 or offset + length > len(wire):
            raise MalformedMessage("the name is malformed")
        labels.append(wire[offset : offset + length].decode("latin-1").lower())
        offset += length


def _edns_size(wire: bytes, offset: int) -> int:
    """Return what an OPT record behind the question says of the size of answers."""
    if wire[offset : offset + 1] != b"\0" or offset + 1 + _RECORD.size > len(wire):
        return _MINIMUM
    kind, size, *_ = _RECORD.unpack_from(wire, offset + 1)
    return max(size, _MINIMUM) if kind == OPT else _MINIMUM


def with_addresses(query: Query, addresses: Sequence[str], *, tcp: bool = False) -> bytes:
    """Return the answer with these addresses; none of them: the name exists and has no such record."""
    return _reply(query, [ipaddress.ip_address(a).packed for a in addresses], tcp=tcp)


def with_name(query: Query, name: str, *, tcp: bool = False) -> bytes:
    """Return the answer to a PTR question."""
    return _reply(query, [_write_name(name)], tcp=tcp)


def failure(query: Query, code: int) -> bytes:
    """Return an answer that says why there is none."""
    return _HEADER.pack(query.id, _QR | (query.flags & _RD) | code, 1, 0, 0, 0) + query.question


def _reply(query: Query, data: Sequence[bytes], *, tcp: bool) -> bytes:
    flags = _QR | (query.flags & _RD) | _RA
    records = [_POINTER_TO_QUESTION + _RECORD.pack(query.kind, _IN, TTL, len(d)) + d for d in data]
    room = query.size - _HEADER.size - len(query.question)
    if not tcp and sum(map(len, records)) > room:
        # As many as fit; whoever wants all of them asks again over TCP.
        flags |= _TC
        records = records[: room // max(map(len, records))]
    return _HEADER.pack(query.id, flags, 1, len(records), 0, 0) + query.question + b"".join(records)


def _write_name(name: str) -> bytes:
    labels = [label.encode("latin-1", "replace")[:63] for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def reverse_address(name: str) -> str:
    """Return the address that a name below in-addr.arpa or ip6.arpa stands for, empty for any other."""
    labels = name.split(".")
    try:
        if name.endswith(".in-addr.arpa") and len(labels) == 6:
            return str(ipaddress.IPv4Address(".".join(reversed(labels[:4]))))
        if name.endswith(".ip6.arpa") and len(labels) == 34:
            return str(ipaddress.IPv6Address(bytes.fromhex("".join(reversed(labels[:32])))))
    except ValueError:
        pass
    return ""


def with_id(wire: bytes, number: int) -> bytes:
    """Return a message under another number."""
    return number.to_bytes(2, "big") + wire[2:]


def answers(wire: bytes, query: Query, number: int) -> bool:
    """Tell whether a message answers a query that was sent under that number."""
    if len(wire) < _HEADER.size:
        return False
    got, flags, *_ = _HEADER.unpack_from(wire)
    question = wire[_HEADER.size : _HEADER.size + len(query.question)]
    return got == number and bool(flags & _QR) and question.lower() == query.question.lower()


def code_of(wire: bytes) -> int:
    """Return the result code of an answer."""
    return wire[3] & 0xF
