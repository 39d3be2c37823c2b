"""The userland relay, for what the kernel cannot do: IPv6 to a container that has only IPv4, and from ::1 to any.

It listens on the very socket that holds the host port. Of TCP and UDP: a port of SCTP is held and answers nothing.
"""

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass

from engine.drivers.firewall.datagram_relay import DatagramRelay
from engine.drivers.firewall.host_ports import HostPort, HostPorts

log = logging.getLogger(__name__)
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class RelayedPort:
    """A port of the host, and the container's address and port that its connections are carried to."""

    host_port: HostPort
    address: str
    port: int


class Relay:
    """All relayed ports of the daemon."""

    def __init__(self, host_ports: HostPorts) -> None:
        self._host_ports = host_ports
        self._servers: dict[HostPort, asyncio.Server | DatagramRelay] = {}

    async def open(self, relayed: RelayedPort) -> None:
        """Listen on a port that is held. Raises OSError."""
        listener = self._host_ports.duplicate(relayed.host_port)
        if listener is None:
            return
        if relayed.host_port.protocol == "tcp":
            self._servers[relayed.host_port] = await _serve(listener, relayed)
        elif relayed.host_port.protocol == "udp" and listener.family == socket.AF_INET6:
            self._servers[relayed.host_port] = DatagramRelay(listener, relayed.address, relayed.port)
        else:
            listener.close()

    def close(self, relayed: RelayedPort) -> None:
        """Accept no more connections; those that are open go on. Idempotent."""
        server = self._servers.pop(relayed.host_port, None)
        if server is not None:
            server.close()


async def _serve(listener: socket.socket, relayed: RelayedPort) -> asyncio.Server:
    # Connections that outlive this daemon then do not keep the next one off the port; a listener keeps off others.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _carry_both(reader, writer, relayed)

    return await asyncio.start_server(serve, sock=listener, limit=_CHUNK)


async def _carry_both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, relayed: RelayedPort) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection(relayed.address, relayed.port, limit=_CHUNK)
    except OSError as error:
        log.debug("relay to %s:%d: %s", relayed.address, relayed.port, error)
        writer.transport.abort()
        return
    try:
        await asyncio.gather(_carry(reader, inner_writer), _carry(inner_reader, writer))
    finally:
        for one in (writer, inner_writer):
            one.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way, and the end of the stream after the last of them."""
    with contextlib.suppress(ConnectionError, OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
