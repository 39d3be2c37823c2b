"""Log collectors on the engine's loopback: what the drivers send, as it arrives."""

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from compat_tests.clients.namespaces import Namespaces
from compat_tests.clients.waiting import eventually

Answer = Callable[[bytes], bytes]


class StreamCollector:
    """Takes connections over TCP, TLS or a Unix socket, and keeps the bytes of each.

    `answer` is given what a connection has brought so far, and returns what to write back.
    """

    def __init__(
        self,
        namespaces: Namespaces,
        *,
        path: Path | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        answer: Answer | None = None,
    ) -> None:
        self._tls = tls
        self._answer = answer
        self._streams: list[bytearray] = []
        self._open: list[socket.socket] = []
        self._socket = namespaces.call(lambda: _bound(socket.SOCK_STREAM, path, port))
        self._socket.listen(16)
        self.address = str(path) if path else f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.port = 0 if path else self._socket.getsockname()[1]
        self._reading = threading.Event()
        self._reading.set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Accept, and read nothing any more."""
        self._reading.clear()

    def resume(self) -> None:
        self._reading.set()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        stream = bytearray()
        self._streams.append(stream)
        with contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            while True:
                self._reading.wait()
                data = connection.recv(65536)
                if not data:
                    return
                stream += data
                if self._answer is not None:
                    connection.sendall(self._answer(bytes(stream)))

    @property
    def received(self) -> bytes:
        """Everything, connection after connection."""
        return b"".join(bytes(stream) for stream in self._streams)

    def lines(self, count: int, end: bytes = b"\n") -> list[bytes]:
        """Wait for that many messages; return all that are there then."""

        def complete() -> list[bytes] | None:
            found = self.received.split(end)[:-1]
            return found if len(found) >= count else None

        return eventually(complete, what=f"{count} messages, not {self.received!r:.300}") or []

    def close(self) -> None:
        """Be gone: for who is connected, too."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        self._reading.set()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


class DatagramCollector:
    """Takes datagrams over UDP or a Unix socket."""

    def __init__(self, namespaces: Namespaces, *, path: Path | None = None) -> None:
        self._socket = namespaces.call(lambda: _bound(socket.SOCK_DGRAM, path, 0))
        self._socket.settimeout(0.05)
        self.address = str(path) if path else f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.received: list[bytes] = []

    def wait(self, count: int) -> list[bytes]:
        """Wait for that many datagrams; return all that are there then."""
        eventually(lambda: self._take() >= count, what=f"{count} datagrams, not {self.received!r:.300}")
        return self.received

    def _take(self) -> int:
        with contextlib.suppress(TimeoutError):
            while True:
                self.received.append(self._socket.recv(1 << 17))
        return len(self.received)

    def close(self) -> None:
        self._socket.close()


def _bound(kind: int, path: Path | None, port: int) -> socket.socket:
    made = socket.socket(socket.AF_UNIX if path else socket.AF_INET, kind)
    if path is not None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        made.bind(str(path))
        return made
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made
