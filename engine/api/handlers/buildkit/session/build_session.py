"""A build's client as the builder knows it (`domain/builder/session.py`), by way of the services that it offers."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from engine.api.handlers.buildkit.session import content_store, file_send, file_sync, ssh
from engine.api.handlers.buildkit.session.sessions import Connected, Sessions
from engine.api.transport.rpc import Code, Metadata, RpcError
from engine.core.errors import NotFound
from engine.domain.builder.contexts import Contexts
from engine.domain.builder.protocol.messages import auth, secrets, service
from engine.domain.builder.protocol.messages import upload as uploads
from engine.domain.builder.session import Outgoing, SyncRequest
from engine.drivers.registry.credentials import Credentials

_SECRETS = service("moby.buildkit.secrets.v1.Secrets")
_AUTH = service("moby.filesync.v1.Auth")
_UPLOAD = service("moby.upload.v1.Upload")
_OTHER_SESSION = "local-sessionid:"
_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


class NotOffered(NotFound):
    """The client does not serve what the build needs."""

    def __init__(self, path: str) -> None:
        known = path == file_sync.DIFF_COPY.path
        super().__init__("no local sources enabled" if known else f"the client does not offer {path}")


class BuildSession:
    """One build's client; directories may be another's (`local-sessionid:NAME`), which bake shares among builds."""

    def __init__(self, session_id: str, options: Mapping[str, str], sessions: Sessions, contexts: Contexts) -> None:
        self.id = session_id
        self._others = {
            name.removeprefix(_OTHER_SESSION): value
            for name, value in options.items()
            if name.startswith(_OTHER_SESSION)
        }
        self._sessions = sessions
        self._contexts = contexts

    async def _client(self, path: str, session_id: str = "") -> Connected:
        connected = await self._sessions.get(session_id or self.id)
        if not connected.offers(path):
            raise NotOffered(path)
        return connected

    @contextlib.asynccontextmanager
    async def directory(self, request: SyncRequest, transferred: Callable[[int], None]) -> AsyncIterator[Path]:
        """Bring a directory. Raises NotFound, RpcError, TransferRefused."""
        connected = await self._client(file_sync.DIFF_COPY.path, request.session or self._others.get(request.name, ""))
        key = f"{request.name}:{request.hint}:{connected.shared_key}" if connected.shared_key else ""
        async with self._contexts.use(key, request.name) as path:
            await file_sync.receive(connected.client, request, path, transferred)
            yield path

    async def secret(self, secret_id: str) -> bytes | None:
        """Return a secret."""
        method = _SECRETS["GetSecret"]
        try:
            connected = await self._client(method.path)
            reply = await connected.client.call(method, secrets.GetSecretRequest(ID=secret_id))
        except NotOffered:
            return None
        except RpcError as error:
            if error.code in (Code.NOT_FOUND, Code.UNIMPLEMENTED) or "not found" in error.message:
                return None
            raise
        return bytes(reply.data)

    @contextlib.asynccontextmanager
    async def agent(self, agent_id: str, socket: Path) -> AsyncIterator[None]:
        """Serve an agent's socket. Raises NotFound, RpcError."""
        connected = await self._client(ssh.CHECK.path)
        async with ssh.forwarded(connected.client, agent_id, socket):
            yield

    async def credentials(self, host: str) -> Credentials | None:
        """Return a registry's credentials. Raises RpcError."""
        method = _AUTH["Credentials"]
        asked = "https://index.docker.io/v1/" if host in _HUB else host
        try:
            connected = await self._client(method.path)
            reply = await connected.client.call(method, auth.CredentialsRequest(Host=asked))
        except NotFound:
            return None
        except RpcError as error:
            if error.code in (Code.NOT_FOUND, Code.UNIMPLEMENTED):
                return None
            raise
        if not reply.Secret:
            return None
        if not reply.Username:
            return Credentials(identity_token=reply.Secret, server_address=host)
        return Credentials(reply.Username, reply.Secret, server_address=host)

    async def upload(self, url_path: str) -> AsyncIterator[bytes]:
        """Return what the client uploads. Raises NotOffered."""
        method = _UPLOAD["Pull"]
        connected = await self._client(method.path)
        return self._pulled(connected, [("urlpath", url_path), ("urlhost", "buildkit-session")])

    async def _pulled(self, connected: Connected, metadata: Metadata) -> AsyncIterator[bytes]:
        async with connected.client.exchange(_UPLOAD["Pull"], metadata) as exchange:
            # The client waits for a first message (`upload.New` of BuildKit's session).
            await exchange.send(uploads.BytesMessage())
            while batch := await exchange.receive_all():
                for message in batch:
                    yield message.data
            await exchange.end()

    async def send_file(self, outgoing: Outgoing, chunks: AsyncIterator[bytes]) -> None:
        """Send an archive. Raises NotFound, RpcError."""
        connected = await self._client(file_send.FILE.path)
        await file_send.send_file(connected.client, outgoing, chunks)

    async def send_tree(self, outgoing: Outgoing, tree: Path) -> None:
        """Send a directory. Raises NotFound, RpcError, OSError."""
        connected = await self._client(file_send.FILE.path)
        await file_send.send_tree(connected.client, outgoing, tree)

    async def store(self, store_id: str, session_id: str = "") -> content_store.SessionStore:
        """Return a content store. Raises NotFound."""
        connected = await self._client(content_store.INFO.path, session_id)
        return content_store.SessionStore(connected.client, store_id)
