"""A rtnetlink socket: several requests in one send, all answers read at once.

It belongs to the network namespace of the thread that opened it and goes on to act there, whoever uses it later.
"""

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from types import TracebackType

from engine.drivers.netlink.messages import Message

_HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_MULTI = 2
_RECEIVE = 1 << 18
_TIMEOUT = 30.0


class RouteSocket:
    """Open it in the namespace in question; use it in `with`."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._socket.settimeout(_TIMEOUT)
        self._sequence = 0

    def __enter__(self) -> "RouteSocket":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def apply(self, *messages: Message, ignoring: Sequence[int] = ()) -> None:
        """Send all messages at once and wait for their results. Raises OSError for the first that failed.

        The kernel goes on with the others regardless. Error numbers in `ignoring` count as success. Blocks; call in a
        thread.
        """
        waiting = self._send(messages) if messages else set()
        failed = 0
        while waiting:
            for kind, sequence, body in self._receive():
                if kind != _NLMSG_ERROR or sequence not in waiting:
                    continue
                waiting.discard(sequence)
                number = -_ERROR.unpack_from(body)[0]
                if number and number not in ignoring:
                    failed = failed or number
        if failed:
            raise OSError(failed, os.strerror(failed))

    def dump(self, message: Message) -> list[Message]:
        """Return the decoded answers to a dump request. Blocks; call in a thread."""
        (wanted,) = self._send([message])
        answers: list[Message] = []
        while True:
            for kind, sequence, body in self._receive():
                if sequence != wanted:
                    continue
                if kind == _NLMSG_DONE:
                    return answers
                if kind == _NLMSG_ERROR:
                    number = -_ERROR.unpack_from(body)[0]
                    raise OSError(number, os.strerror(number))
                answer = type(message)(_HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_MULTI, sequence, 0) + body)
                answer.decode()
                answers.append(answer)

    def _send(self, messages: Sequence[Message]) -> set[int]:
        pieces: list[bytes] = []
        sequences: set[int] = set()
        for message in messages:
            self._sequence += 1
            message["header"]["sequence_number"] = self._sequence
            message.encode()
            pieces.append(bytes(message.data).ljust((len(message.data) + 3) & ~3, b"\0"))
            sequences.add(self._sequence)
        self._socket.send(b"".join(pieces))
        return sequences

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        data = self._socket.recv(_RECEIVE)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
            yield kind, sequence, data[offset + _HEADER.size : offset + length]
            offset += max((length + 3) & ~3, _HEADER.size)
