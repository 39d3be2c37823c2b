"""What a container may do to the name server, and to the networks of others: nothing.

Cases 24 and 25 of the attacks; 22 and 23 are in `test_matrix` and `test_firewalld`.
"""

import contextlib
import os
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compat_tests.clients import dns
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.dns import NOERROR, Reply
from compat_tests.clients.namespaces import call_in_network
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.networks.asker import Container

HEADER = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0)
ENDING = struct.pack("!2H", dns.A, 1)
CLIENTS = 600
MEMORY = 32 << 10


def malformed() -> list[bytes]:
    """Messages that are no questions, or hardly."""
    chance = random.Random(7)
    label = b"\x3f" + b"a" * 63
    return [
        b"",
        b"\0",
        HEADER,
        HEADER[:11],
        HEADER + b"\xc0\x0c" + ENDING,  # A name that leads to itself.
        HEADER + b"\xc0\x0e\xc0\x0c" + ENDING,
        HEADER + b"\xc0\xff" + ENDING,
        HEADER + b"\x01a\xc0\x0c" + ENDING,
        HEADER + label * 200 + b"\0" + ENDING,
        HEADER + label * 3 + b"\x40" + b"b" * 64 + b"\0" + ENDING,
        HEADER + b"\x05web" + ENDING,
        HEADER + b"\x03web\0",
        HEADER + b"\x03\xff\xfe\xfd\0" + ENDING,
        HEADER + b"\0" + ENDING,
        struct.pack("!6H", 7, 0x100, 65535, 65535, 65535, 65535) + b"\x03web\0" + ENDING,
        struct.pack("!6H", 7, 0x100, 9, 0, 0, 0) + (b"\x03web\0" + ENDING) * 9,
        struct.pack("!6H", 7, 0x8180, 1, 0, 0, 0) + b"\x03web\0" + ENDING,  # An answer.
        struct.pack("!6H", 7, 0x2900, 1, 0, 0, 0) + b"\x03web\0" + ENDING,  # An update.
        HEADER + b"\x03web\0" + struct.pack("!2H", 252, 255),
        *(chance.randbytes(chance.randrange(1, 600)) for _ in range(300)),
        *(HEADER + chance.randbytes(chance.randrange(1, 300)) for _ in range(300)),
    ]


def over_udp(messages: list[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for message in messages:
            sock.sendto(message, dns.SERVER)


def over_tcp(messages: list[bytes]) -> None:
    for message in messages:
        for length in (len(message), len(message) + 5, 65535, 0):
            with contextlib.suppress(OSError), socket.create_connection(dns.SERVER, 2) as sock:
                sock.sendall(length.to_bytes(2, "big") + message)


@pytest.fixture
def pair(run: Callable[..., Container], front: None) -> Iterator[tuple[Container, Container]]:
    """One that misbehaves, and one that goes on asking."""
    yield run("rogue", "--network", "front"), run("user", "--network", "front")


def test_rubbish_is_answered_or_not_and_no_more(pair: tuple[Container, Container], engine: Daemon) -> None:
    rogue, user = pair
    before = len(engine.log())
    messages = malformed()
    call_in_network(rogue.pid, lambda: over_udp(messages))
    call_in_network(rogue.pid, lambda: over_tcp(messages[:40]))
    expected = Reply(NOERROR, [rogue.address()])
    for asking in pair:
        assert asking.ask("rogue") == expected
        assert asking.ask("rogue", tcp=True) == expected
    assert "Traceback" not in engine.log()[before:]
    assert "panic" not in engine.log()[before:]
    assert user.ask("rogue", size=4096) == expected


def test_clients_that_say_nothing_hold_up_nobody(pair: tuple[Container, Container], api: RawHttp) -> None:
    rogue, user = pair
    expected = Reply(NOERROR, [rogue.address()])

    def connect() -> socket.socket:
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(dns.SERVER)
        return client

    with contextlib.ExitStack() as stack:
        for _ in range(CLIENTS):
            stack.enter_context(call_in_network(rogue.pid, connect))
        assert user.ask("rogue", tcp=True) == expected
        assert rogue.ask("rogue") == expected
        assert api.request("GET", "/_ping").status == 200


def resident(engine: Daemon) -> int:
    """KiB of memory."""
    status = Path(f"/proc/{engine.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def test_a_flood_of_questions_leaves_others_their_answers(
    pair: tuple[Container, Container], api: RawHttp, engine: Daemon
) -> None:
    rogue, user = pair
    before = resident(engine)
    expected = Reply(NOERROR, [rogue.address()])
    question = HEADER + b"\x07example\x03com\0" + ENDING
    until = time.monotonic() + 2

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while time.monotonic() < until:
                with contextlib.suppress(OSError):
                    sock.sendto(question + os.urandom(4), dns.SERVER)

    with ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(call_in_network, rogue.pid, flood)
        while time.monotonic() < until:
            assert user.ask("rogue") == expected
            assert api.request("GET", "/_ping").status == 200
        flooding.result()
    assert user.ask("rogue") == expected
    # dockerd's grows: it gives its garbage back later.
    assert engine.kind == "dockerd" or resident(engine) < before + MEMORY


def test_lies_about_addresses_stay_on_their_network(cli: DockerCli, run: Callable[..., Container], front: None) -> None:
    """A container says that it has the addresses of the gateway and of a container of another network (ARP)."""
    cli.ok("network", "create", "--subnet", "10.215.2.0/24", "back")
    rogue, victim = run("rogue", "--network", "front"), run("victim", "--network", "back")
    friend = run("friend", "--network", "back")

    def lie() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", 0))
            own = raw.getsockname()[4]
            for address in (victim.address("back"), "10.215.2.1", "10.215.1.1"):
                sender = own + socket.inet_aton(address)
                head = b"\xff" * 6 + own + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 2)
                for _ in range(20):
                    raw.send(head + sender + b"\xff" * 6 + socket.inet_aton(address))

    cli.ok("exec", "friend", "ping", "-c1", "-W2", victim.address("back"))
    call_in_network(rogue.pid, lie)
    neighbours = cli.ok("exec", "friend", "cat", "/proc/net/arp")
    assert victim.inspect("{{.NetworkSettings.Networks.back.MacAddress}}") in neighbours
    assert rogue.inspect("{{.NetworkSettings.Networks.front.MacAddress}}") not in neighbours
    cli.ok("exec", "friend", "ping", "-c1", "-W2", victim.address("back"))
    assert friend.ask("victim") == Reply(NOERROR, [victim.address("back")])


def test_a_borrowed_address_gets_no_further(cli: DockerCli, run: Callable[..., Container], front: None) -> None:
    """Packets that claim to come from a container of another network do not get there."""
    cli.ok("network", "create", "--subnet", "10.215.2.0/24", "back")
    rogue, victim = run("rogue", "--network", "front"), run("victim", "--network", "back")
    friend = run("friend", "--network", "back")

    def listen() -> socket.socket:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((victim.address("back"), 7777))
        server.settimeout(0.5)
        return server

    def borrow() -> None:
        data = struct.pack("!4H", 7777, 7777, 12, 0) + b"boo!"
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            ends = socket.inet_aton(friend.address("back")) + socket.inet_aton(victim.address("back"))
            packet = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 1, 0, 64, socket.IPPROTO_UDP, 0) + ends + data
            for _ in range(20):
                raw.sendto(packet, (victim.address("back"), 0))

    with call_in_network(victim.pid, listen) as server:
        call_in_network(rogue.pid, borrow)
        with pytest.raises(TimeoutError):
            server.recv(100)
