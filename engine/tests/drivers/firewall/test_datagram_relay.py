"""Datagrams through the relay."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from engine.drivers.firewall import datagram_relay
from engine.drivers.firewall.datagram_relay import DatagramRelay

LOOPBACK = "::1"


def bound(family: int, address: str) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind((address, 0))
    made.settimeout(5)
    return made


@pytest.fixture
def inside() -> Iterator[socket.socket]:
    with bound(socket.AF_INET, "127.0.0.1") as made:
        yield made


async def test_each_client_gets_its_own_answers(inside: socket.socket) -> None:
    listener = bound(socket.AF_INET6, "::")
    port = listener.getsockname()[1]
    relay = DatagramRelay(listener, *inside.getsockname())
    with bound(socket.AF_INET6, LOOPBACK) as one, bound(socket.AF_INET6, LOOPBACK) as other:
        for client, text in ((one, b"one"), (other, b"other"), (one, b"again")):
            client.sendto(text, (LOOPBACK, port))
            data, source = await asyncio.to_thread(inside.recvfrom, 100)
            inside.sendto(data.upper(), source)
            answer, came_from = await asyncio.to_thread(client.recvfrom, 100)
            assert (answer, came_from[:2]) == (text.upper(), (LOOPBACK, port))
        one.sendto(b"", (LOOPBACK, port))
        assert await asyncio.to_thread(inside.recv, 100) == b""
    relay.close()
    listener.close()


async def test_the_eldest_client_makes_room(inside: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagram_relay, "_MOST_CLIENTS", 2)
    listener = bound(socket.AF_INET6, LOOPBACK)
    port = listener.getsockname()[1]
    relay = DatagramRelay(listener, *inside.getsockname())
    seen = []
    for text in (b"a", b"b", b"c"):
        with bound(socket.AF_INET6, LOOPBACK) as client:
            client.sendto(text, (LOOPBACK, port))
            seen.append(await asyncio.to_thread(inside.recv, 100))
    assert seen == [b"a", b"b", b"c"]
    assert len(relay._clients) == 2
    relay.close()


async def test_a_container_that_refuses_is_no_trouble() -> None:
    with bound(socket.AF_INET, "127.0.0.1") as gone:
        target = gone.getsockname()
    listener = bound(socket.AF_INET6, LOOPBACK)
    port = listener.getsockname()[1]
    relay = DatagramRelay(listener, *target)
    with bound(socket.AF_INET6, LOOPBACK) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
        client.sendto(b"lost", (LOOPBACK, port))
        await asyncio.sleep(0.05)
        back.bind(target)
        back.settimeout(0.05)
        for _ in range(100):
            client.sendto(b"now", (LOOPBACK, port))
            try:
                assert await asyncio.to_thread(back.recv, 100) in (b"lost", b"now")
                break
            except TimeoutError:
                continue
        else:
            pytest.fail("nothing arrived")
    relay.close()
