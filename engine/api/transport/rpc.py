"""Remote calls as handlers see them: what a call brings, how it fails. What carries them is in `h2c.py`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import IntEnum
from typing import Any, Protocol

from engine.domain.builder.protocol.messages import Message, Method

Metadata = Sequence[tuple[str, str]]


class Code(IntEnum):
    """gRPC's statuses."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RpcError(Exception):
    """A call's failure as it goes over the wire. `details`: type URLs and values of google.rpc.Status."""

    def __init__(self, code: int, message: str, details: Sequence[tuple[str, bytes]] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)


class ConnectionLost(RpcError):
    """The peer is gone, or has given up the call."""

    def __init__(self, message: str = "the connection is lost") -> None:
        super().__init__(Code.UNAVAILABLE, message)


class Call(Protocol):
    """A call that is being answered. `metadata` has its headers, with all their values."""

    metadata: Mapping[str, Sequence[str]]

    async def receive(self) -> Message | None:
        """Return the next message of a streaming request, None at its end."""
        ...

    async def send(self, message: Message) -> None:
        """Send a message of a streaming reply."""
        ...

    async def begin(self, metadata: Metadata = ()) -> None:
        """Send the reply's headers before its first message."""
        ...


Endpoint = Callable[..., Any]
"""What answers a method.

By the method's kind: `(request, call) -> reply`, awaitable; `(request, call)`, an async iterator of replies; where the
request is a stream: `(call) -> None`, awaitable.
"""

Service = Mapping[str, Endpoint]
"""A service's endpoints by the names of its methods."""


class Exchange(Protocol):
    """A streaming call of ours, under way."""

    async def send(self, message: Message) -> None:
        """Send a message. Raises RpcError."""
        ...

    async def end(self) -> None:
        """Nothing more will be sent. Raises RpcError."""
        ...

    async def receive(self) -> Message | None:
        """Return the next message, None at the end of a call that went well. Raises RpcError."""
        ...


class Client(Protocol):
    """A peer whose services can be called."""

    def call(self, method: Method, request: Message, metadata: Metadata = ()) -> Awaitable[Message]:
        """Call a method without streams. Raises RpcError."""
        ...

    def exchange(self, method: Method, metadata: Metadata = ()) -> AbstractAsyncContextManager[Exchange]:
        """Call a method with streams; leaving the context early gives the call up. Raises RpcError."""
        ...


async def messages(exchange: Exchange) -> AsyncIterator[Message]:
    """Yield what comes until the end of a call. Raises RpcError."""
    while (message := await exchange.receive()) is not None:
        yield message
