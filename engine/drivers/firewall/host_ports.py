"""Host ports held for containers: a bound socket that listens to nothing keeps every other program off each of them.

Which ports this daemon holds is known here, so that a second container is told "port is already allocated" and a port
that some other program has is "address already in use".
"""

import contextlib
import errno
import ipaddress
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": 132}
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FALLBACK_RANGE = (49153, 65535)


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of one address (unspecified: of all) of the host."""

    protocol: str
    address: str
    port: int


class PortAllocated(OSError):
    """The port is held for another container of this daemon; `holder` is the address that it holds it for."""

    def __init__(self, holder: str, port: int) -> None:
        super().__init__("port is already allocated")
        self.holder = holder
        self.port = port


class HostPorts:
    """The ports that this daemon holds. Its methods take microseconds and may be called in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[HostPort, socket.socket | None] = {}
        self._by_number: dict[tuple[str, int], list[str]] = {}
        self._cursors: dict[str, int] = {}

    def hold(self, wanted: HostPort) -> None:
        """Take a port. Raises PortAllocated, or OSError with EADDRINUSE, EADDRNOTAVAIL, EACCES."""
        with self._lock:
            for holder in self._by_number.get((wanted.protocol, wanted.port), ()):
                if _overlap(holder, wanted.address):
                    raise PortAllocated(holder, wanted.port)
            self._held[wanted] = _bound_socket(wanted)
            self._by_number.setdefault((wanted.protocol, wanted.port), []).append(wanted.address)

    def release(self, held: HostPort) -> None:
        """Give a port back. Idempotent."""
        with self._lock:
            if held not in self._held:
                return
            bound = self._held.pop(held)
            if bound is not None:
                bound.close()
            holders = self._by_number[held.protocol, held.port]
            holders.remove(held.address)
            if not holders:
                del self._by_number[held.protocol, held.port]

    def duplicate(self, held: HostPort) -> socket.socket | None:
        """Return another handle of the socket that holds a port, for a relay to listen on."""
        bound = self._held.get(held)
        return bound.dup() if bound is not None else None

    def ephemeral(self, protocol: str) -> Iterator[int]:
        """Return the ports of the kernel's own range, each once, going on behind the one found last."""
        low, high = _ephemeral_range()
        start = self._cursors.get(protocol, low)
        for offset in range(high - low + 1):
            port = low + (start - low + offset) % (high - low + 1)
            self._cursors[protocol] = port + 1
            yield port

    def close(self) -> None:
        """Give everything back."""
        for held in list(self._held):
            self.release(held)


def _overlap(held: str, wanted: str) -> bool:
    one, other = ipaddress.ip_address(held), ipaddress.ip_address(wanted)
    return one.version == other.version and (one == other or one.is_unspecified or other.is_unspecified)


def _bound_socket(wanted: HostPort) -> socket.socket | None:
    """Return a socket that has the port and nothing else; None for a protocol that the kernel has no sockets for."""
    try:
        return _bind(wanted, reuse=False)
    except OSError as error:
        if error.errno == errno.EPROTONOSUPPORT:
            return None
        if error.errno != errno.EADDRINUSE or wanted.protocol != "tcp":
            raise
    # It may be that only connections in TIME_WAIT have the port. SO_REUSEADDR passes over those, but over other sockets
    # that are merely bound as well; listening for a moment tells.
    bound = _bind(wanted, reuse=True)
    try:
        bound.listen(1)
        bound.shutdown(socket.SHUT_RD)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        bound.close()
        raise
    return bound


def _bind(wanted: HostPort, *, reuse: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in wanted.address else socket.AF_INET
    bound = socket.socket(family, _KINDS[wanted.protocol] | socket.SOCK_CLOEXEC, _PROTOCOLS[wanted.protocol])
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((wanted.address, wanted.port))
    except OSError:
        bound.close()
        raise
    return bound


def _ephemeral_range() -> tuple[int, int]:
    with contextlib.suppress(OSError, ValueError):
        low, high = _RANGE.read_text().split()
        return int(low), int(high)
    return _FALLBACK_RANGE


def ipv6_works() -> bool:
    """Tell whether IPv6 sockets can be bound on this host."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
