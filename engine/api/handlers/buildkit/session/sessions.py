"""The clients that are connected to serve builds, by the ids under which builds name them."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.api.transport.h2_client import H2Client
from engine.core.errors import Conflict, InvalidParameter, NotFound

# A build and its session's connection come at the same time.
_PATIENCE = 5.0
_HEADER = "x-docker-expose-session-"


class NoSession(NotFound):
    """A build's client is not, or no longer, there."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"no active session for {session_id}: context deadline exceeded")


class NoSessionId(InvalidParameter):
    """A connection does not say which session it is."""

    def __init__(self) -> None:
        super().__init__("no session id in the request")


class SessionTaken(Conflict):
    """A session of that id is connected already."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session {session_id} already exists")


@dataclass(frozen=True, slots=True, eq=False)
class Connected:
    """A client: what its directories are recognised by from build to build, the paths of the methods it has."""

    id: str
    shared_key: str
    methods: frozenset[str]
    client: H2Client

    def offers(self, path: str) -> bool:
        """Tell whether the client has a method (`/package.Service/Method`)."""
        return path.lower() in self.methods


class Sessions:
    """All clients that are connected."""

    def __init__(self) -> None:
        self._connected: dict[str, Connected] = {}
        self._joined = asyncio.Event()

    async def get(self, session_id: str) -> Connected:
        """Return a client; one that is about to connect is waited for. Raises NoSession."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while session_id not in self._connected:
                    await self._joined.wait()
        if session_id not in self._connected:
            raise NoSession(session_id)
        return self._connected[session_id]

    @contextlib.contextmanager
    def joined(self, headers: Mapping[str, Sequence[str]], client: H2Client) -> Iterator[None]:
        """Know a client for as long as the context lasts; `headers` have names in small letters.

        Raises NoSessionId, SessionTaken.
        """
        connected = _described(headers, client)
        if connected.id in self._connected:
            raise SessionTaken(connected.id)
        self._connected[connected.id] = connected
        self._joined.set()
        self._joined = asyncio.Event()
        try:
            yield
        finally:
            del self._connected[connected.id]


def _described(headers: Mapping[str, Sequence[str]], client: H2Client) -> Connected:
    def first(name: str) -> str:
        return next(iter(headers.get(_HEADER + name, ())), "")

    if not first("uuid"):
        raise NoSessionId
    methods = frozenset(path.lower() for path in headers.get(_HEADER + "grpc-method", ()))
    return Connected(first("uuid"), first("sharedkey"), methods, client)
