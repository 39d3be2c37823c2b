"""Where a collector is, and how it is dialled, with dockerd's error texts: clients see them when a start fails."""

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from typing import Any

from engine.drivers.linux.tls import client_context

_STREAMS = ("tcp", "tls", "unix")
_SILENCE_SECONDS = 15
_TYPES = {True: socket.SOCK_STREAM, False: socket.SOCK_DGRAM}


@dataclass(frozen=True, slots=True)
class Address:
    """`network` is tcp, tls, udp, unix or unixgram; the last two have a path, the others host and port."""

    network: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_stream(self) -> bool:
        """Tell a connection from datagrams."""
        return self.network in _STREAMS

    def __str__(self) -> str:
        return self.path or _joined(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM form; empty: the system's authorities, no certificate of our own."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    skip_verify: bool = False


class DialFailed(OSError):
    """A collector cannot be reached; the text is dockerd's."""


def context(tls: Tls) -> ssl.SSLContext:
    """Read the files of `tls`. Blocks; call in a thread. Raises DialFailed."""
    made = client_context()
    if tls.ca:
        try:
            made.load_verify_locations(tls.ca)
        except OSError as error:
            raise DialFailed(f'could not read CA certificate "{tls.ca}": {_opening(tls.ca, error)}') from error
    if tls.certificate or tls.key:
        try:
            made.load_cert_chain(tls.certificate, tls.key or None)
        except OSError as error:
            missing = next((f for f in (tls.certificate, tls.key) if not os.path.exists(f)), tls.certificate)  # noqa: PTH110
            raise DialFailed(f"Could not load X509 key pair: {_opening(missing, error)}") from error
    if tls.skip_verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _opening(path: str, error: OSError) -> str:
    return f"open {path}: {_reason(error)}" if not isinstance(error, ssl.SSLError) else str(error)


async def dial(address: Address, timeout: float) -> socket.socket:
    """Return a connected socket, non-blocking. Raises DialFailed; `timeout` in seconds."""
    first: DialFailed | None = None
    for family, target, shown in await _targets(address, timeout):
        prefix = f"dial {_network(address)} {shown}: "
        made = socket.socket(family, _TYPES[address.is_stream])
        try:
            made.setblocking(False)
            _notice_dead_peers(made, family)
            async with asyncio.timeout(timeout):
                await asyncio.get_running_loop().sock_connect(made, target)
        except TimeoutError:
            made.close()
            first = first or DialFailed(f"{prefix}i/o timeout")
        except OSError as error:
            made.close()
            first = first or DialFailed(f"{prefix}connect: {_reason(error)}")
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise first or NoSuchHost(address)


def _notice_dead_peers(sock: socket.socket, family: int) -> None:
    """Ask the kernel to look after a silent peer, as Go does. One that is only slow is none of its business."""
    if sock.type != socket.SOCK_STREAM or family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
        sock.setsockopt(socket.IPPROTO_TCP, option, _SILENCE_SECONDS)


class NoSuchHost(DialFailed):
    """A name without addresses."""

    def __init__(self, address: Address) -> None:
        super().__init__(f"dial {_network(address)}: lookup {address.host}: no such host")


async def _targets(address: Address, timeout: float) -> list[tuple[int, Any, str]]:
    """Return families, socket addresses, and these as Go writes them."""
    if address.path:
        return [(socket.AF_UNIX, address.path, address.path)]
    loop, kind = asyncio.get_running_loop(), _TYPES[address.is_stream]
    try:
        async with asyncio.timeout(timeout):
            found = await loop.getaddrinfo(address.host or "localhost", address.port, type=kind)
    except OSError as error:
        raise NoSuchHost(address) from error
    return [(f, a, _joined(a[0] if address.host else "", a[1])) for f, _, _, _, a in found]


def _network(address: Address) -> str:
    return "tcp" if address.network == "tls" else address.network


def _joined(host: object, port: object) -> str:
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


def handshake_failure(error: ssl.SSLError) -> str:
    """Return why a handshake failed, in Go's words where they are known."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: {(error.reason or 'handshake failure').lower().replace('_', ' ')}"
    reasons = {
        10: "certificate has expired or is not yet valid",
        62: f"certificate is not valid: {error.verify_message}",
    }
    reason = reasons.get(error.verify_code, "certificate signed by unknown authority")
    return f"tls: failed to verify certificate: x509: {reason}"
