"""The client of a classic build: it has sent its context beforehand, and gives nothing else."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from engine.core.errors import NotFound
from engine.domain.builder.session import Outgoing, SyncRequest
from engine.drivers.registry.credentials import Credentials


class NothingSent(NotFound):
    """The client has nothing of that kind."""


class UploadSession:
    """A client whose context lies in a directory of ours."""

    def __init__(self, session_id: str, context: Path) -> None:
        self.id = session_id
        self._context = context

    @asynccontextmanager
    async def directory(self, request: SyncRequest, transferred: Callable[[int], None]) -> AsyncIterator[Path]:
        """Give the context, whatever of it is wanted."""
        if request.name not in ("context", "dockerfile"):
            raise NothingSent(f"no directory {request.name}")
        transferred(0)
        yield self._context

    async def secret(self, _secret_id: str) -> bytes | None:
        """Have no secrets."""
        return None

    @asynccontextmanager
    async def agent(self, agent_id: str, _socket: Path) -> AsyncIterator[None]:
        """Have no agents."""
        raise NothingSent(f"unset ssh forward key {agent_id or 'default'}")
        yield

    async def credentials(self, _host: str) -> Credentials | None:
        """Have none but those that came with the request."""
        return None

    async def upload(self, _url_path: str) -> AsyncIterator[bytes]:
        """Offer nothing more."""
        raise NothingSent("no upload")

    async def send_file(self, _outgoing: Outgoing, _chunks: AsyncIterator[bytes]) -> None:
        """Take no files."""
        raise NothingSent("no exporter")

    async def send_tree(self, _outgoing: Outgoing, _tree: Path) -> None:
        """Take no directories."""
        raise NothingSent("no exporter")
