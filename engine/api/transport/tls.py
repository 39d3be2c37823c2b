"""TLS under the daemon's connections, with half-close: what asyncio's and uvloop's own TLS cannot do.

A docker CLI that attaches without input ends its side at once, with TLS's close_notify (RFC 8446, section 6.1), and
goes on reading. asyncio takes that for the end of the connection. So the records are handled here: between the plain
transport and the protocol that would use it.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from typing import Any, cast

_CHUNK = 64 << 10
_HANDSHAKE_SECONDS = 30.0
# Go's answer (net/http), which the docker CLI shows.
_PLAIN_HTTP = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class TlsTransport(asyncio.Transport):
    """What a protocol above sees: a transport that encrypts."""

    def __init__(self, plain: asyncio.Transport, tls: ssl.SSLObject, outgoing: ssl.MemoryBIO) -> None:
        super().__init__()
        self._plain = plain
        self._tls = tls
        self._outgoing = outgoing
        self._ended = False
        self._closing = False
        self.protocol: asyncio.BaseProtocol = asyncio.Protocol()
        self.reading = True
        self.more: Callable[[], None] = lambda: None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell of the TLS session or of the socket below."""
        match name:
            case "ssl_object":
                return self._tls
            case "sslcontext":
                return self._tls.context
            case "peercert":
                return self._tls.getpeercert()
            case _:
                return self._plain.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that has the connection."""
        return self.protocol

    def is_closing(self) -> bool:
        """Tell whether nothing can be written any more."""
        return self._closing or self._plain.is_closing()

    def is_reading(self) -> bool:
        """Tell whether the protocol takes data."""
        return self.reading

    def pause_reading(self) -> None:
        """Give the protocol nothing for now."""
        self.reading = False
        if not self._plain.is_closing():
            self._plain.pause_reading()

    def resume_reading(self) -> None:
        """Give the protocol data again, first what is decrypted already."""
        self.reading = True
        if not self._plain.is_closing():
            self._plain.resume_reading()
            asyncio.get_running_loop().call_soon(self.more)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if self.is_closing() or self._ended or not data:
            return
        view = memoryview(data).cast("B")
        while view:
            view = view[self._tls.write(view) :]
        self.flush()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Encrypt and send several pieces."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """TLS has an end of its own for each direction."""
        return True

    def write_eof(self) -> None:
        """Send close_notify: nothing more comes from here, input goes on."""
        if self._ended or self.is_closing():
            return
        self._ended = True
        # It would wait for the other side's; ours is written.
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self.flush()

    def close(self) -> None:
        """Send what is written, and end."""
        if self._closing:
            return
        self.flush()
        self.write_eof()
        self._closing = True
        self._plain.close()

    def abort(self) -> None:
        """End at once."""
        self._closing = True
        self._plain.abort()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes (encrypted) wait to be sent."""
        return self._plain.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the marks of flow control."""
        return self._plain.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks of flow control."""
        self._plain.set_write_buffer_limits(high, low)

    def send_plain(self, data: bytes) -> None:
        """Send without TLS, to a client that does not speak it."""
        self._plain.write(data)

    def flush(self) -> None:
        """Send the records that TLS has made."""
        if self._outgoing.pending and not self._plain.is_closing():
            self._plain.write(self._outgoing.read())


class TlsConnection(asyncio.Protocol):
    """The server's side of one connection: handshake, then the records for the protocol that `factory` makes."""

    def __init__(self, context: ssl.SSLContext, factory: Callable[[], asyncio.Protocol]) -> None:
        self._factory = factory
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._transport: TlsTransport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._shaken = False
        self._ended = False

    @property
    def _inner(self) -> Any:
        return self._transport.protocol if self._transport and self._shaken else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client's first word, not for ever."""
        # uvloop's transports are not asyncio's in type.
        plain = cast(asyncio.Transport, transport)
        self._transport = TlsTransport(plain, self._tls, self._outgoing)
        self._transport.more = self._advance
        self._deadline = asyncio.get_running_loop().call_later(_HANDSHAKE_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Decrypt what can be decrypted."""
        self._incoming.write(data)
        self._advance()

    def eof_received(self) -> bool:
        """The socket's end: without a close_notify before it, the connection is cut off."""
        self._incoming.write_eof()
        self._advance()
        return self._ended

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        if self._deadline:
            self._deadline.cancel()
        if self._inner is not None:
            self._inner.connection_lost(exc)
        self._transport = None

    def pause_writing(self) -> None:
        """Pass it on."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        if self._inner is not None:
            self._inner.resume_writing()

    def _advance(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        try:
            if self._shaken or self._shake(transport):
                self._read(transport)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._refuse(transport, error)
        transport.flush()

    def _refuse(self, transport: TlsTransport, error: ssl.SSLError) -> None:
        """End a connection that is of no use, with the alert that TLS has made to say why."""
        if self._shaken:
            transport.flush()
            transport.abort()
            return
        if error.reason == "HTTP_REQUEST":
            self._outgoing.read()
            transport.send_plain(_PLAIN_HTTP)
        transport.close()

    def _shake(self, transport: TlsTransport) -> bool:
        self._tls.do_handshake()
        self._shaken = True
        if self._deadline:
            self._deadline.cancel()
        transport.protocol = self._factory()
        self._inner.connection_made(transport)
        return True

    def _read(self, transport: TlsTransport) -> None:
        while transport.reading and not transport.is_closing() and not self._ended:
            try:
                data = self._tls.read(_CHUNK)
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                self._end(transport)
                return
            self._inner.data_received(data)

    def _end(self, transport: TlsTransport) -> None:
        self._ended = True
        if not self._inner.eof_received():
            transport.close()
