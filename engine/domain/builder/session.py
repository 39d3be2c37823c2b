"""What a build asks of the client that started it: directories, secrets, agents, credentials, a place for results.

The fronts provide it: `POST /build` has a directory that was uploaded, BuildKit's API has the client's own services.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.drivers.registry.credentials import Credentials


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What is wanted of one of the client's directories; patterns as in .dockerignore, paths as in COPY.

    `hint` tells apart what of one directory is wanted for different ends (`local.sharedkeyhint`), so that copies kept
    from build to build are not mixed up; `session` names another client than the build's (`local.session`).
    """

    name: str
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    follow: Sequence[str] = ()
    hint: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A result on its way to the client's exporter of a number; `sent` is told the bytes sent so far.

    `prefix` is the directory below which a tree is to be put, empty: none.
    """

    exporter: int
    sent: Callable[[int], None]
    metadata: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""


class ClientStore(Protocol):
    """A store of blobs on the client's disk, in the layout of OCI; the client keeps its index."""

    async def size(self, digest: str) -> int:
        """Return a blob's size in bytes. Raises NotFound, Internal."""
        ...

    def read(self, digest: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield a blob's bytes. Raises NotFound, Internal."""
        ...

    async def write(self, digest: str, size: int, chunks: AsyncIterator[bytes]) -> None:
        """Write a blob, unless it is there. Raises Internal."""
        ...


class Session(Protocol):
    """A client, for as long as its build runs."""

    id: str

    def directory(self, request: SyncRequest, transferred: Callable[[int], None]) -> AbstractAsyncContextManager[Path]:
        """Give a copy of a directory, valid (and unchanged) within the context; tell bytes received so far.

        Raises NotFound where the client has no directory of that name.
        """
        ...

    async def secret(self, secret_id: str) -> bytes | None:
        """Return a secret, or None where the client has none of that name."""
        ...

    def agent(self, agent_id: str, socket: Path) -> AbstractAsyncContextManager[None]:
        """Serve an SSH agent of the client's at a unix socket. Raises NotFound."""
        ...

    async def credentials(self, host: str) -> Credentials | None:
        """Return what the client uses for a registry, or None."""
        ...

    async def upload(self, url_path: str) -> AsyncIterator[bytes]:
        """Return a body that the client offers (`docker build -`). Raises NotFound."""
        ...

    async def send_file(self, outgoing: Outgoing, chunks: AsyncIterator[bytes]) -> None:
        """Send a result, a tar archive."""
        ...

    async def send_tree(self, outgoing: Outgoing, tree: Path) -> None:
        """Send a result, a directory."""
        ...

    async def store(self, store_id: str, session_id: str = "") -> ClientStore:
        """Return a store of the client's, or of another one's. Raises NotFound where there are none."""
        ...
