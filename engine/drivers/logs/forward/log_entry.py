"""The messages of the log plugin protocol: `LogEntry` of protobuf, each behind its length (32 bits, big endian). Pure.

Source: Docker's log driver plugin API (`api/types/plugins/logdriver/entry.proto`). The class is made at start from the
description below: compiled code would refuse to run with any but its own release of protobuf.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from engine.drivers.logs.forward.encoder import Clock
from engine.drivers.logs.forward.entries import Entry
from engine.drivers.logs.options import STDERR

_LENGTH = struct.Struct(">I")
_LONGEST = 4 << 20
_Field = descriptor_pb2.FieldDescriptorProto


def _described() -> type[Any]:
    file = descriptor_pb2.FileDescriptorProto(name="entry.proto", syntax="proto3")
    entry, piece = file.message_type.add(name="LogEntry"), file.message_type.add(name="PartialLogEntryMetadata")
    for message, name, number, kind in (
        (entry, "source", 1, _Field.TYPE_STRING),
        (entry, "time_nano", 2, _Field.TYPE_INT64),
        (entry, "line", 3, _Field.TYPE_BYTES),
        (entry, "partial", 4, _Field.TYPE_BOOL),
        (piece, "last", 1, _Field.TYPE_BOOL),
        (piece, "id", 2, _Field.TYPE_STRING),
        (piece, "ordinal", 3, _Field.TYPE_INT32),
    ):
        message.field.add(name=name, number=number, type=kind, label=_Field.LABEL_OPTIONAL)
    entry.field.add(
        name="partial_log_metadata",
        number=5,
        type=_Field.TYPE_MESSAGE,
        type_name="PartialLogEntryMetadata",
        label=_Field.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("LogEntry"))


LogEntry = _described()


class LogEntryEncoder:
    """Turns entries into messages."""

    def __init__(self) -> None:
        self._clock = Clock()

    def encode(self, entries: Sequence[Entry]) -> list[bytes]:
        """Return one packet for each entry."""
        return [self._packet(entry) for entry in entries]

    def _packet(self, entry: Entry) -> bytes:
        source = "stderr" if entry.stream == STDERR else "stdout"
        message = LogEntry(source=source, time_nano=self._clock.read(entry.time), line=entry.line)
        if entry.piece is not None:
            message.partial = True
            piece = message.partial_log_metadata
            piece.id, piece.ordinal, piece.last = entry.piece
        data: bytes = message.SerializeToString()
        return _LENGTH.pack(len(data)) + data


class LogEntryDecoder:
    """Takes bytes as they come and yields messages."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the messages that are complete. Raises ValueError for what is none."""
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer, at)
            if size > _LONGEST:
                raise ValueError(f"a message of {size} bytes")
            end = at + _LENGTH.size + size
            if len(self._buffer) < end:
                break
            yield _parsed(self._buffer[at + _LENGTH.size : end])
            at = end
        self._buffer = self._buffer[at:]

    def finish(self) -> None:
        """Raise ValueError where the last message is not complete."""
        if self._buffer:
            raise ValueError("unexpected EOF")


def _parsed(data: bytes) -> Any:
    try:
        return LogEntry.FromString(data)
    except DecodeError as error:
        raise ValueError(str(error)) from error
