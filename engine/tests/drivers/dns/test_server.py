"""The server and the forwarder, over loopback."""

import asyncio
import socket

import pytest

from engine.drivers.dns import messages, server
from engine.drivers.dns.forward import Forwarder
from engine.drivers.dns.server import DnsServer, DnsSockets, open_sockets
from engine.tests.drivers.dns.test_messages import question


async def _addresses(wire: bytes, tcp: bool) -> bytes | None:
    query = messages.parse_query(wire)
    return messages.with_addresses(query, ["10.0.0.2"], tcp=tcp) if query.name == "web" else None


async def _ask(port: int, wire: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        await loop.sock_sendto(client, wire, ("127.0.0.11", port))
        async with asyncio.timeout(2):
            return await loop.sock_recv(client, 4096)


async def _started(answer: object) -> tuple[DnsServer, DnsSockets]:
    sockets, server = open_sockets(), DnsServer(answer)
    await server.start(sockets)
    return server, sockets


async def test_it_answers_over_udp_and_tcp() -> None:
    server, sockets = await _started(_addresses)
    udp, tcp = sockets.ports
    assert (await _ask(udp, question("web"))).endswith(b"\x0a\x00\x00\x02")
    reader, writer = await asyncio.open_connection("127.0.0.11", tcp)
    for _ in range(2):
        writer.write(len(question("web")).to_bytes(2, "big") + question("web"))
        length = int.from_bytes(await reader.readexactly(2), "big")
        assert (await reader.readexactly(length)).endswith(b"\x0a\x00\x00\x02")
    writer.close()
    server.close()


async def test_rubbish_does_not_stop_it() -> None:
    async def answer(wire: bytes, tcp: bool) -> bytes | None:
        try:
            return await _addresses(wire, tcp)
        except messages.MalformedMessage:
            return None

    server, sockets = await _started(answer)
    udp, _ = sockets.ports
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for rubbish in (b"", b"\0" * 12, b"\xff" * 600):
            client.sendto(rubbish, ("127.0.0.11", udp))
    assert await _ask(udp, question("web"))
    server.close()


async def test_too_many_clients_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_CLIENTS", 2)
    serving, sockets = await _started(_addresses)
    _, tcp = sockets.ports
    clients = [await asyncio.open_connection("127.0.0.11", tcp) for _ in range(2)]
    reader, writer = await asyncio.open_connection("127.0.0.11", tcp)
    assert await asyncio.wait_for(reader.read(), 2) == b""
    clients.pop()[1].close()
    writer.close()
    await asyncio.sleep(0.05)
    clients.append(await asyncio.open_connection("127.0.0.11", tcp))
    reader, writer = clients[-1]
    writer.write(len(question("web")).to_bytes(2, "big") + question("web"))
    assert await asyncio.wait_for(reader.readexactly(2), 2)
    for _, each in clients:
        each.close()
    serving.close()


async def test_questions_are_passed_on_and_keep_their_number() -> None:
    upstream, sockets = await _started(_addresses)
    wire = question("web")
    query = messages.parse_query(wire)
    udp, tcp = sockets.ports
    assert (await Forwarder(udp).ask(wire, query, ["127.0.0.11"], tcp=False) or b"")[:2] == b"\x12\x34"
    assert (await Forwarder(tcp).ask(wire, query, ["127.0.0.11"], tcp=True) or b"")[:2] == b"\x12\x34"
    upstream.close()


async def test_a_server_that_fails_is_followed_by_the_next() -> None:
    codes = [messages.SERVFAIL, messages.REFUSED, messages.NXDOMAIN]

    async def fail(wire: bytes, tcp: bool) -> bytes:
        return messages.failure(messages.parse_query(wire), codes.pop(0))

    failing, sockets = await _started(fail)
    udp, _ = sockets.ports
    wire = question("web")
    query = messages.parse_query(wire)
    reply = await Forwarder(udp).ask(wire, query, ["127.0.0.11"] * 3, tcp=False)
    assert reply is not None
    assert messages.code_of(reply) == messages.NXDOMAIN
    codes[:] = [messages.SERVFAIL]
    assert await Forwarder(udp).ask(wire, query, ["127.0.0.11"], tcp=False) is None
    failing.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        free = nobody.getsockname()[1]
    assert await Forwarder(free).ask(wire, query, ["127.0.0.1"], tcp=False) is None


async def test_sockets_are_opened_where_the_caller_says() -> None:
    upstream, sockets = await _started(_addresses)
    wire, opened = question("web"), []

    async def opener(make):
        opened.append(make())
        return opened[-1]

    for tcp, port in zip((False, True), sockets.ports, strict=True):
        assert await Forwarder(port).ask(wire, messages.parse_query(wire), ["127.0.0.11"], opener, tcp=tcp)
    assert [s.type for s in opened] == [socket.SOCK_DGRAM, socket.SOCK_STREAM]
    upstream.close()
