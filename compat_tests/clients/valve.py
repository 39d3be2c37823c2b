"""A TCP proxy before a registry that can be shut: what is on its way to the registry then stays where it is."""

import socket
import threading
from contextlib import suppress

from compat_tests.clients.namespaces import Namespaces

_PIECE = 1 << 16


class Valve:
    """Lets `limit` bytes of each connection to the registry pass, all where it is None.

    `held` are the connections that have more. Once `drained` is set, what comes on them is thrown away until they end.
    """

    def __init__(self, namespaces: Namespaces, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._namespaces = namespaces
        self.limit: int | None = None
        self.held = 0
        self.drained = threading.Event()
        self._lock = threading.Lock()
        self._server = namespaces.call(lambda: socket.create_server(("127.0.0.1", 0)))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.limit = 0
        self.drained.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                registry = self._namespaces.call(lambda: socket.create_connection(self._target))
                for work in (self._upwards, self._downwards):
                    threading.Thread(target=work, args=(client, registry), daemon=True).start()

    def _upwards(self, client: socket.socket, registry: socket.socket) -> None:
        passed = 0
        with suppress(OSError), registry:
            while self.limit is None or passed < self.limit:
                piece = client.recv(_PIECE)
                if not piece:
                    registry.shutdown(socket.SHUT_WR)
                    return
                registry.sendall(piece)
                passed += len(piece)
            self._hold(client)

    def _hold(self, client: socket.socket) -> None:
        """Wait until the client has closed its end, which is seen behind all that it has sent before."""
        self._count(1)
        try:
            self.drained.wait(60)
            while client.recv(_PIECE):
                pass
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self.held += change

    def _downwards(self, client: socket.socket, registry: socket.socket) -> None:
        with suppress(OSError), client:
            while piece := registry.recv(_PIECE):
                client.sendall(piece)
