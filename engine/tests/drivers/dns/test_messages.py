"""DNS messages."""

import struct

import pytest

from engine.drivers.dns import messages
from engine.drivers.dns.messages import MalformedMessage, parse_query


def question(name: str, kind: int = messages.A, *, edns: int = 0, flags: int = 0x0100) -> bytes:
    header = struct.pack("!HHHHHH", 0x1234, flags, 1, 0, 0, 1 if edns else 0)
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"
    option = b"\0" + struct.pack("!HHIH", messages.OPT, edns, 0, 0) if edns else b""
    return header + labels + struct.pack("!HH", kind, 1) + option


def test_a_question_is_read_in_lower_case() -> None:
    query = parse_query(question("Web.Front", edns=1232))
    assert (query.id, query.name, query.kind, query.size) == (0x1234, "web.front", messages.A, 1232)


def test_addresses_are_answered() -> None:
    reply = messages.with_addresses(parse_query(question("web")), ["10.0.0.2", "10.0.0.3"])
    assert struct.unpack_from("!HHHHHH", reply) == (0x1234, 0x8180, 1, 2, 0, 0)
    assert reply.endswith(b"\x00\x04\x0a\x00\x00\x03")


def test_a_name_without_such_an_address_has_an_empty_answer() -> None:
    reply = messages.with_addresses(parse_query(question("web", messages.AAAA)), [])
    assert struct.unpack_from("!HHHHHH", reply) == (0x1234, 0x8180, 1, 0, 0, 0)


def test_what_does_not_fit_into_a_datagram_is_truncated() -> None:
    addresses = [f"10.0.0.{n}" for n in range(1, 60)]
    query = parse_query(question("web"))
    assert messages.with_addresses(query, addresses)[2] & 0x02
    assert len(messages.with_addresses(query, addresses, tcp=True)) > 512
    assert not messages.with_addresses(parse_query(question("web", edns=4096)), addresses)[2] & 0x02


def test_reverse_names() -> None:
    assert messages.reverse_address("3.0.61.10.in-addr.arpa") == "10.61.0.3"
    assert messages.reverse_address(".".join(["1", *["0"] * 29, "d", "f"]) + ".ip6.arpa") == "fd00::1"
    assert messages.reverse_address("x.0.61.10.in-addr.arpa") == ""
    assert messages.reverse_address("web") == ""


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\0" * 11,
        question("web")[:-3],
        question("web", flags=0x8100),
        question("web", flags=0x2800),
        struct.pack("!HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\xc0\x0c\x00\x01\x00\x01",
        struct.pack("!HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\x3fabc",
        struct.pack("!HHHHHH", 1, 0x100, 2, 0, 0, 0) + b"\0" * 20,
        struct.pack("!HHHHHH", 1, 0x100, 1, 0, 0, 0) + (b"\x3f" + b"a" * 63) * 5 + b"\0\0\1\0\1",
    ],
)
def test_what_is_no_question_is_refused(wire: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_query(wire)


def test_only_the_answer_to_the_question_counts() -> None:
    query = parse_query(question("web"))
    reply = messages.with_addresses(query, ["10.0.0.2"])
    assert messages.answers(messages.with_id(reply, 7), query, 7)
    assert not messages.answers(messages.with_id(reply, 8), query, 7)
    assert not messages.answers(messages.with_addresses(parse_query(question("bew")), ["10.0.0.2"]), query, 0x1234)
    assert not messages.answers(b"\0\7", query, 7)
