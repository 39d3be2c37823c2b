"""As much of DNS (RFC 1035) as the tests need: questions, answers, and a server that answers as it is told."""

import contextlib
import ipaddress
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

A, PTR, MX, TXT, AAAA = 1, 12, 15, 16, 28
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
SERVER = ("127.0.0.11", 53)


@dataclass(frozen=True)
class Reply:
    """`answers` are addresses or names; `truncated`: there is more over TCP."""

    code: int
    answers: list[str]
    truncated: bool = False


def ask(name: str, kind: int = A, *, tcp: bool = False, size: int = 0, timeout: float = 6) -> Reply:
    """Ask the server at 127.0.0.11 of the calling thread's network. `size`: what EDNS says that we take over UDP."""
    number = int.from_bytes(os.urandom(2), "big")
    query = struct.pack("!6H", number, 0x100, 1, 0, 0, 1 if size else 0) + _name(name) + struct.pack("!2H", kind, 1)
    if size:
        query += b"\0" + struct.pack("!HHIH", 41, size, 0, 0)
    wire = _over_tcp(query, timeout) if tcp else _over_udp(query, timeout)
    assert int.from_bytes(wire[:2], "big") == number
    return parse(wire)


def _over_udp(query: bytes, timeout: float) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.sendto(query, SERVER)
        return sock.recv(65536)


def _over_tcp(query: bytes, timeout: float) -> bytes:
    with socket.create_connection(SERVER, timeout) as sock:
        sock.sendall(len(query).to_bytes(2, "big") + query)
        stream = sock.makefile("rb")
        return stream.read(int.from_bytes(stream.read(2), "big"))


def _name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def parse(wire: bytes) -> Reply:
    _, flags, questions, answers, _, _ = struct.unpack_from("!6H", wire)
    offset = 12
    for _ in range(questions):
        offset = _read_name(wire, offset)[1] + 4
    found = []
    for _ in range(answers):
        offset = _read_name(wire, offset)[1]
        kind, _, _, length = struct.unpack_from("!HHIH", wire, offset)
        offset += 10
        found.append(_read_name(wire, offset)[0] if kind == PTR else _address(wire[offset : offset + length]))
        offset += length
    return Reply(flags & 0xF, found, bool(flags & 0x200))


def _address(data: bytes) -> str:
    return str(ipaddress.ip_address(data))


def _read_name(wire: bytes, offset: int) -> tuple[str, int]:
    """A name, and where it ends."""
    labels: list[str] = []
    end = 0
    while wire[offset]:
        if wire[offset] >= 0xC0:
            end = end or offset + 2
            offset = int.from_bytes(wire[offset : offset + 2], "big") & 0x3FFF
            continue
        labels.append(wire[offset + 1 : offset + 1 + wire[offset]].decode())
        offset += 1 + wire[offset]
    return ".".join(labels), end or offset + 1


class Upstream:
    """A name server over UDP that knows `names`, gives `code` for all others, and writes down who asked what."""

    def __init__(
        self, call: Callable[[Callable[[], socket.socket]], socket.socket], address: str, names: dict[str, str]
    ) -> None:
        """`call` runs a function in the network that the server is to be in."""

        def bind() -> socket.socket:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((address, 53))
            return sock

        self.names = names
        self.code = NXDOMAIN
        self.asked: list[tuple[str, str]] = []
        self._socket = call(bind)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                wire, client = self._socket.recvfrom(4096)
                if not wire:
                    return
                self._socket.sendto(self._reply(wire, client[0]), client)

    def _reply(self, wire: bytes, client: str) -> bytes:
        name, end = _read_name(wire, 12)
        self.asked.append((name, client))
        known = name in self.names
        head = wire[:2] + struct.pack("!5H", 0x8180 | (NOERROR if known else self.code), 1, int(known), 0, 0)
        answer = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, 4) + socket.inet_aton(self.names[name]) if known else b""
        return head + wire[12 : end + 4] + answer

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
