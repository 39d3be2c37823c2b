"""Connections to collectors: bytes in order over a stream, or datagrams."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.drivers.logs.forward import fluentd
from engine.drivers.logs.forward.address import Address, DialFailed, Tls, context, dial, handshake_failure

log = logging.getLogger(__name__)
_BURST = 32
_ANSWER_SECONDS = 30.0
_LONGEST_ANSWER = 4096


class Connection(Protocol):
    """A way to a collector."""

    async def send(self, packets: Sequence[bytes]) -> None:
        """Hand the packets to the kernel; waits while the collector is slow. Raises OSError when it is gone."""

    async def confirm(self, chunk: str) -> None:
        """Wait until the collector acknowledges. Raises OSError where it does not."""

    async def close(self) -> None:
        """Close; what the kernel has goes out."""


class Way(Protocol):
    """How connections come to be."""

    async def connect(self) -> Connection:
        """Return a new connection. Raises DialFailed."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a collector is reached: the first of the addresses that answers. Seconds; 0: no bound on a write."""

    addresses: Sequence[Address]
    tls: Tls | None = None
    dial_seconds: float = 10.0
    write_seconds: float = 0.0

    async def connect(self) -> Connection:
        """Connect. Raises DialFailed."""
        failure: DialFailed | None = None
        for address in self.addresses:
            try:
                return await _connect(address, self)
            except DialFailed as error:
                failure = error
        raise failure or DialFailed("no address")


async def _connect(address: Address, route: Route) -> Connection:
    encryption = await asyncio.to_thread(context, route.tls) if route.tls else None
    made = await dial(address, route.dial_seconds)
    if not address.is_stream:
        return DatagramConnection(made)
    try:
        async with asyncio.timeout(route.dial_seconds):
            reader, writer = await _open_stream(address, made, encryption)
    except ssl.SSLError as error:
        made.close()
        raise DialFailed(handshake_failure(error)) from error
    except OSError as error:
        made.close()
        raise DialFailed(str(error) or "i/o timeout") from error
    return StreamConnection(reader, writer, route.write_seconds)


async def _open_stream(
    address: Address, sock: socket.socket, encryption: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.path:
        return await asyncio.open_unix_connection(sock=sock)
    return await asyncio.open_connection(
        sock=sock, ssl=encryption, server_hostname=(address.host or "localhost") if encryption else None
    )


class StreamConnection:
    """Over TCP, TLS or a Unix socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, write_seconds: float) -> None:
        # Nothing is kept back here: what is not with the kernel is not sent. (A high mark of 0 is one that uvloop's TLS
        # has reached with an empty buffer, and it would wait for ever.)
        writer.transport.set_write_buffer_limits(high=1, low=0)
        self._reader = reader
        self._writer = writer
        self._write_seconds = write_seconds or None

    async def send(self, packets: Sequence[bytes]) -> None:
        """Send, unless the collector has closed its side: the kernel would take the bytes all the same."""
        if self._reader.at_eof() or self._writer.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, "the collector closed the connection")
        async with asyncio.timeout(self._write_seconds):
            self._writer.write(b"".join(packets))
            await self._writer.drain()

    async def confirm(self, chunk: str) -> None:
        """Read the acknowledgement of a chunk."""
        answer = b""
        async with asyncio.timeout(_ANSWER_SECONDS):
            while fluentd.acknowledged(answer) != chunk:
                data = await self._reader.read(_LONGEST_ANSWER)
                answer += data
                if not data or len(answer) > _LONGEST_ANSWER:
                    raise ConnectionResetError(errno.ECONNRESET, "the collector did not acknowledge")

    async def close(self) -> None:
        """Close; what is buffered is dropped where the collector does not read."""
        self._writer.close()


class DatagramConnection:
    """Over UDP or a Unix datagram socket, connected: a Unix socket tells when nobody listens."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._drops = 0

    async def send(self, packets: Sequence[bytes]) -> None:
        """Send, some at a time, so that the loop can do other things in between."""
        for number, packet in enumerate(packets, 1):
            await self._send(packet)
            if number % _BURST == 0:
                await asyncio.sleep(0)

    async def _send(self, packet: bytes) -> None:
        for _ in range(2):
            try:
                await asyncio.get_running_loop().sock_sendall(self._sock, packet)
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    self._drop(packet)
                elif self._sock.family == socket.AF_UNIX:
                    raise
                elif error.errno == errno.ECONNREFUSED:
                    continue  # What an earlier datagram met: this one has not been sent.
                else:
                    raise
            return

    def _drop(self, packet: bytes) -> None:
        self._drops += 1
        if self._drops == 1:
            log.warning("a log message of %d bytes is too large for its collector's socket; dropped", len(packet))

    async def confirm(self, chunk: str) -> None:
        """Datagrams are not acknowledged."""

    async def close(self) -> None:
        """Close the socket."""
        self._sock.close()
