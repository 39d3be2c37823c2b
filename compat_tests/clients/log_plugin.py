"""A third-party log driver: it reads FIFOs of length-prefixed `LogEntry` messages, and gives them back where it can.

The messages are read and written field by field here, so that the wire format itself is under test.
"""

import contextlib
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from compat_tests.clients.plugin import Plugin, Reply
from compat_tests.clients.waiting import eventually

START, STOP, READ = "LogDriver.StartLogging", "LogDriver.StopLogging", "LogDriver.ReadLogs"


@dataclass(frozen=True)
class LogEntry:
    """`piece` is (id, ordinal, last) of a line that came in pieces."""

    source: str
    time: int
    line: bytes
    partial: bool = False
    piece: tuple[str, int, bool] | None = None


class LogPlugin(Plugin):
    """A log driver; with `reads`, it answers ReadLogs from what it was sent.

    While it `breaks_off`, it closes each FIFO after the next message, as one that ends.
    """

    def __init__(self, path: Path, *, reads: bool) -> None:
        super().__init__(path, ["LogDriver"])
        self._reads = reads
        self.entries: dict[str, list[LogEntry]] = {}
        self.containers: dict[str, str] = {}
        self.ended: set[str] = set()
        self.breaks_off = False
        self.reset()

    def reset(self) -> None:
        """Answer properly again, and forget what there was."""
        self.calls.clear()
        self.entries, self.containers, self.ended = {}, {}, set()
        self.breaks_off = False
        self.handlers |= {
            "LogDriver.Capabilities": lambda _: {"Cap": {"ReadLogs": self._reads}, "Err": ""},
            START: self.start_logging,
            STOP: lambda _: {"Err": ""},
            READ: self.read_logs,
        }

    def start_logging(self, body: dict[str, Any]) -> Reply:
        self.containers[body["File"]] = body["Info"]["ContainerID"]
        threading.Thread(target=self._take, args=(body["File"],), daemon=True).start()
        return {"Err": ""}

    def _take(self, path: str) -> None:
        """Take what comes through a FIFO until its other end is closed; one of a short run may be gone already."""
        taken = self.entries.setdefault(self.containers[path], [])
        with contextlib.suppress(FileNotFoundError), open(path, "rb", buffering=0) as fifo:
            for entry in _entries(fifo):
                taken.append(entry)
                if self.breaks_off:
                    break
        self.ended.add(path)

    def read_logs(self, body: dict[str, Any]) -> Reply:
        config, container = body["Config"], body["Info"]["ContainerID"]
        return self._given_back(container, config["Tail"], follow=config["Follow"])

    def _given_back(self, container: str, tail: int, *, follow: bool) -> Iterator[bytes]:
        """The messages of a container, each line with its end; followed until the container's log has ended."""
        given = max(len(self.entries.get(container, [])) - tail, 0) if tail >= 0 else 0
        while True:
            over = not follow or self._is_over(container)
            for entry in self.entries.get(container, [])[given:]:
                given += 1
                whole = entry.piece is None or entry.piece[2]
                yield encoded(replace(entry, line=entry.line + b"\n" * whole))
            if over:
                return
            time.sleep(0.01)

    def _is_over(self, container: str) -> bool:
        return all(file in self.ended for file, of in self.containers.items() if of == container)

    def lines(self, container: str, count: int) -> list[bytes]:
        """The first lines of a container, once there are that many."""
        eventually(lambda: len(self.entries.get(container, [])) >= count, what=f"{count} lines at the plugin")
        return [entry.line for entry in self.entries[container]]

    def stopped(self) -> set[str]:
        """The FIFOs whose end has been told."""
        return {body["File"] for body in self.bodies(STOP)}


def _entries(fifo: BinaryIO) -> Iterator[LogEntry]:
    while head := _exactly(fifo, 4):
        yield decoded(_exactly(fifo, struct.unpack(">I", head)[0]))


def _exactly(fifo: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := fifo.read(size - len(data))):
        data += piece
    return data


def decoded(data: bytes) -> LogEntry:
    fields = dict(_fields(data))
    piece = dict(_fields(fields[5])) if 5 in fields else None
    return LogEntry(
        source=bytes(fields.get(1, b"")).decode(),
        time=fields.get(2, 0),
        line=bytes(fields.get(3, b"")),
        partial=bool(fields.get(4, 0)),
        piece=piece and (bytes(piece.get(2, b"")).decode(), piece.get(3, 0), bool(piece.get(1, 0))),
    )


def encoded(entry: LogEntry) -> bytes:
    """A message with its length before it."""
    source = entry.source.encode()
    data = b"\x0a" + _varint(len(source)) + source + b"\x10" + _varint(entry.time)
    data += b"\x1a" + _varint(len(entry.line)) + entry.line
    return struct.pack(">I", len(data)) + data


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        value: Any
        value, at = _read_varint(data, at)
        if key & 7 == 2:
            value, at = data[at : at + value], at + value
        yield key >> 3, value


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
