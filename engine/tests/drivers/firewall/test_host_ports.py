"""Host ports: one holder each, whatever state earlier connections are in."""

import asyncio
import errno
import socket

import pytest

from engine.drivers.firewall.host_ports import HostPort, HostPorts, PortAllocated
from engine.drivers.firewall.relay import Relay, RelayedPort


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_another_daemon_does_not_get_the_port() -> None:
    mine, theirs = HostPorts(), HostPorts()
    port = HostPort("tcp", "127.0.0.1", _free_port())
    mine.hold(port)
    with pytest.raises(OSError) as refused:
        theirs.hold(port)
    assert refused.value.errno == errno.EADDRINUSE
    with pytest.raises(PortAllocated):
        mine.hold(port)
    mine.release(port)
    theirs.hold(port)
    theirs.close()


def test_a_program_that_reuses_addresses_cannot_listen_on_a_held_port() -> None:
    ports, port = HostPorts(), HostPort("tcp", "127.0.0.1", _free_port())
    ports.hold(port)
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port.port))
        thief.listen()
    ports.close()


async def test_old_connections_of_a_relay_do_not_keep_the_next_daemon_off() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hi")
        writer.close()

    inner = await asyncio.start_server(greet, "127.0.0.1", 0)
    before, port = HostPorts(), HostPort("tcp", "127.0.0.1", _free_port())
    before.hold(port)
    relay, relayed = Relay(before), RelayedPort(port, "127.0.0.1", inner.sockets[0].getsockname()[1])
    await relay.open(relayed)
    reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
    assert await reader.read() == b"hi"
    relay.close(relayed)
    before.close()
    after = HostPorts()
    after.hold(port)
    after.close()
    writer.close()
    inner.close()


def test_ephemeral_ports_go_on_behind_the_last_one() -> None:
    ports = HostPorts()
    first = next(ports.ephemeral("tcp"))
    assert next(ports.ephemeral("tcp")) == first + 1
    assert next(ports.ephemeral("udp")) == first
