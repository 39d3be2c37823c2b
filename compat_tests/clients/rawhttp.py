"""HTTP over a unix socket, byte for byte: whole answers, streamed answers, hijacked connections."""

import contextlib
import http.client
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A whole answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The text of an error answer."""
        return str(self.json()["message"])


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Stream:
    """An answer that is read as it comes; header names are lower case."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._socket = connection.sock
        self._connection = connection
        self._response = response = connection.getresponse()
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    def read(self, size: int = 65536) -> bytes:
        """What has arrived, at least one byte; empty at the end."""
        return self._response.read1(size)

    def read_all(self) -> bytes:
        return self._response.read()

    def lines(self) -> Iterator[Any]:
        """The JSON documents of a line-wise stream."""
        while line := self._response.readline():
            if line.strip():
                yield json.loads(line)

    def close(self) -> None:
        """Hang up; a read that goes on in another thread ends."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._response.close()
        self._connection.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Hijacked:
    """A connection after the head of its answer: bytes both ways."""

    def __init__(self, sock: socket.socket, status: int, headers: dict[str, str], rest: bytes) -> None:
        self.sock = sock
        self.status = status
        self.headers = headers
        self._buffer = rest

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def half_close(self) -> None:
        """Say that nothing more will be written; reading goes on."""
        self.sock.shutdown(socket.SHUT_WR)

    def read(self) -> bytes:
        """What has arrived, at least one byte; empty at the end."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        return self.sock.recv(65536)

    def read_all(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"{len(self._buffer)} of {size} bytes, then the end")
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def read_until(self, marker: bytes) -> bytes:
        while marker not in self._buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"no {marker!r} in {self._buffer!r}")
            self._buffer += data
        end = self._buffer.index(marker) + len(marker)
        data, self._buffer = self._buffer[:end], self._buffer[end:]
        return data

    def frame(self) -> tuple[int, bytes] | None:
        """The next multiplexed frame (stream number, payload), None at the end."""
        if not self._buffer:
            self._buffer = self.sock.recv(65536)
            if not self._buffer:
                return None
        number, size = struct.unpack(">BxxxI", self.read_exactly(8))
        return number, self.read_exactly(size)

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> "Hijacked":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RawHttp:
    """A client of one unix socket. Each call has its own connection."""

    def __init__(self, path: str) -> None:
        self.path = path

    def request(
        self, method: str, target: str, body: object = None, headers: dict[str, str] | None = None, timeout: float = 60
    ) -> Answer:
        """A whole answer. A body that is not bytes is sent as JSON."""
        with self.stream(method, target, body, headers, timeout) as stream:
            return Answer(stream.status, stream.headers, stream.read_all())

    def get(self, target: str) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.request("GET", target)
        assert answer.status == 200, (target, answer)
        return answer.json()

    def post(self, target: str, body: object = None) -> Answer:
        return self.request("POST", target, body)

    def stream(
        self, method: str, target: str, body: object = None, headers: dict[str, str] | None = None, timeout: float = 60
    ) -> Stream:
        connection = _UnixConnection(self.path, timeout)
        data, head = _body(body)
        connection.request(method, target, body=data, headers={**head, **(headers or {})})
        return Stream(connection)

    def hijack(self, target: str, body: object = None, upgrade: bool = True, timeout: float = 60) -> Hijacked:
        """POST, and keep the connection once the head of the answer is there."""
        data, head = _body(body)
        if upgrade:
            head |= {"Connection": "Upgrade", "Upgrade": "tcp"}
        head |= {"Host": "docker", "Content-Length": str(len(data or b""))}
        lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        return self.exchange("\r\n".join(lines).encode() + (data or b""), timeout)

    def exchange(self, request: bytes, timeout: float = 60) -> Hijacked:
        """Send these very bytes and read the head of the answer."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(self.path)
        sock.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            data = sock.recv(65536)
            if not data:
                sock.close()
                raise EOFError(f"closed before the end of the head: {received!r}")
            received += data
        head, rest = received.split(b"\r\n\r\n", 1)
        first, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (field.split(":", 1) for field in fields)}
        return Hijacked(sock, int(first.split()[1]), headers, rest)


def demultiplex(data: bytes) -> tuple[bytes, bytes]:
    """stdout and stderr of a complete multiplexed stream."""
    parts = {1: b"", 2: b""}
    while data:
        number, size = struct.unpack(">BxxxI", data[:8])
        parts[number] += data[8 : 8 + size]
        data = data[8 + size :]
    return parts[1], parts[2]


def _body(body: object) -> tuple[bytes | None, dict[str, str]]:
    if body is None:
        return None, {}
    if isinstance(body, bytes):
        return body, {"Content-Type": "application/x-tar"}
    return json.dumps(body).encode(), {"Content-Type": "application/json"}
