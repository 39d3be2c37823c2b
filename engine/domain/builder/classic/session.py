"""The client of a classic build: it has sent its context beforehand, and gives nothing else."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from engine.core.errors import NotFound
from engine.domain.builder.session import ClientStore, Outgoing, Session, SyncRequest
from engine.drivers.registry.credentials import Credentials


class NothingSent(NotFound):
    """The client has nothing of that kind."""


class UploadSession:
    """A client whose context lies in a directory of ours; for all else there may be the client of a session."""

    def __init__(self, session_id: str, context: Path, client: Session | None = None) -> None:
        self.id = session_id
        self._context = context
        self._client = client

    @asynccontextmanager
    async def directory(self, request: SyncRequest, transferred: Callable[[int], None]) -> AsyncIterator[Path]:
        """Give the context, whatever of it is wanted."""
        if request.name not in ("context", "dockerfile"):
            raise NothingSent(f"no directory {request.name}")
        transferred(0)
        yield self._context

    async def secret(self, secret_id: str) -> bytes | None:
        """Return a secret of the client's."""
        return await self._client.secret(secret_id) if self._client else None

    @asynccontextmanager
    async def agent(self, agent_id: str, socket: Path) -> AsyncIterator[None]:
        """Serve an agent of the client's."""
        if self._client is None:
            raise NothingSent(f"unset ssh forward key {agent_id or 'default'}")
        async with self._client.agent(agent_id, socket):
            yield

    async def credentials(self, host: str) -> Credentials | None:
        """Return the client's; there are others that came with the request."""
        return await self._client.credentials(host) if self._client else None

    async def upload(self, _url_path: str) -> AsyncIterator[bytes]:
        """Offer nothing more."""
        raise NothingSent("no upload")

    async def send_file(self, _outgoing: Outgoing, _chunks: AsyncIterator[bytes]) -> None:
        """Take no files."""
        raise NothingSent("no exporter")

    async def send_tree(self, _outgoing: Outgoing, _tree: Path) -> None:
        """Take no directories."""
        raise NothingSent("no exporter")

    async def store(self, _store_id: str, _session_id: str = "") -> ClientStore:
        """Offer no stores."""
        raise NothingSent("no content store")
