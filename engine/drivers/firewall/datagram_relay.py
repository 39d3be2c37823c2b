"""The relay for UDP: each client has a socket of its own towards the container, as long as either of them speaks.

Answers leave from the address that the client has written to, of which the host may have many.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)
_LONGEST = 1 << 16
_BURST = 32
# Seconds without a datagram after which a client is forgotten, and how many of them are remembered: as dockerd's proxy
# has it, and as many as leave room for other descriptors.
_SILENCE = 90.0
_MOST_CLIENTS = 1024
_INFO_SIZE = socket.CMSG_SPACE(20)
Ancillary = list[tuple[int, int, bytes]]


@dataclass(slots=True)
class _Client:
    """A client: where its answers go, from which address, and when it was heard of last."""

    address: tuple[str, int]
    source: Ancillary
    inner: socket.socket
    heard: float = field(default_factory=time.monotonic)


class DatagramRelay:
    """Carries datagrams between an IPv6 socket of the host and a container's port, until it is closed."""

    def __init__(self, listener: socket.socket, address: str, port: int) -> None:
        """`listener` is bound, and is closed by `close`. Raises OSError."""
        self._target = (address, port)
        self._clients: dict[tuple[object, bytes], _Client] = {}
        self._listener = listener
        listener.setblocking(False)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(listener, self._inward)
        self._sweeper = self._loop.call_later(_SILENCE, self._sweep)

    def _inward(self) -> None:
        """Take some datagrams of clients."""
        for _ in range(_BURST):
            try:
                data, ancillary, _flags, address = self._listener.recvmsg(_LONGEST, _INFO_SIZE)
            except BlockingIOError:
                return
            except OSError:  # What an earlier answer met.
                continue
            source = [a for a in ancillary if a[:2] == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)]
            with contextlib.suppress(OSError):
                client = self._client(address, source)
                client.heard = time.monotonic()
                client.inner.send(data)

    def _client(self, address: tuple[str, int], source: Ancillary) -> _Client:
        """Return a client, known or new. Raises OSError."""
        key = (address, b"".join(data for _, _, data in source))
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) >= _MOST_CLIENTS:
                self._forget(min(self._clients, key=lambda k: self._clients[k].heard))
            client = self._clients[key] = _Client(address, source, self._connected())
            self._loop.add_reader(client.inner, self._outward_of(client))
        return client

    def _connected(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        inner = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            inner.connect(self._target)
        except OSError:
            inner.close()
            raise
        return inner

    def _outward_of(self, client: _Client) -> Callable[[], None]:
        def outward() -> None:
            """Take some of the container's answers."""
            for _ in range(_BURST):
                try:
                    data = client.inner.recv(_LONGEST)
                except BlockingIOError:
                    return
                except OSError:  # The container has closed the port.
                    continue
                client.heard = time.monotonic()
                with contextlib.suppress(OSError):
                    self._listener.sendmsg([data], client.source, 0, client.address)

        return outward

    def _sweep(self) -> None:
        """Forget who has not been heard of."""
        long_ago = time.monotonic() - _SILENCE
        for key in [k for k, client in self._clients.items() if client.heard < long_ago]:
            self._forget(key)
        self._sweeper = self._loop.call_later(_SILENCE, self._sweep)

    def _forget(self, key: tuple[object, bytes]) -> None:
        inner = self._clients.pop(key).inner
        self._loop.remove_reader(inner)
        inner.close()

    def close(self) -> None:
        """Carry no more."""
        self._sweeper.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for key in list(self._clients):
            self._forget(key)
