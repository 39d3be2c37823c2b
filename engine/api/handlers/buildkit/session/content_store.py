"""A content store of the client's: an image's layout in one of its directories, to read from or to write to.

containerd's `Content` service, called on the client; which of its stores is meant is said in the call's metadata.
"""

from collections.abc import AsyncGenerator, AsyncIterator

from engine.api.transport.h2_client import H2Client
from engine.api.transport.h2_exchange import H2Exchange
from engine.api.transport.rpc import Code, Metadata, RpcError
from engine.core.errors import Internal, NotFound
from engine.domain.builder.protocol.messages import content, service

_CONTENT = service("containerd.services.content.v1.Content")
INFO = _CONTENT["Info"]
_CHUNK = 1 << 20
_STAT, _WRITE, _COMMIT = range(3)


class NotInStore(NotFound):
    """The client's store lacks something."""


class StoreFailed(Internal):
    """The client's store cannot be read or written."""


def _failure(error: RpcError) -> NotFound | Internal:
    return NotInStore(error.message) if error.code == Code.NOT_FOUND else StoreFailed(error.message)


class SessionStore:
    """See `domain/builder/session.py`, `ClientStore`."""

    def __init__(self, client: H2Client, store_id: str) -> None:
        self._client = client
        self._metadata: Metadata = [("buildkit-attachable-store-id", store_id)]

    async def size(self, digest: str) -> int:
        """Return a blob's size. Raises NotInStore, StoreFailed."""
        try:
            reply = await self._client.call(INFO, content.InfoRequest(digest=digest), self._metadata)
        except RpcError as error:
            raise _failure(error) from error
        return int(reply.info.size)

    async def read(self, digest: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield a blob's bytes. Raises NotInStore, StoreFailed."""
        try:
            async with self._client.exchange(_CONTENT["Read"], self._metadata) as exchange:
                await exchange.send(content.ReadContentRequest(digest=digest, offset=offset))
                await exchange.end()
                while batch := await exchange.receive_all():
                    for message in batch:
                        yield message.data
        except RpcError as error:
            raise _failure(error) from error

    async def write(self, digest: str, size: int, chunks: AsyncIterator[bytes]) -> None:
        """Write a blob, unless it is there. Raises StoreFailed, and what making the chunks raises."""
        try:
            async with self._client.exchange(_CONTENT["Write"], self._metadata) as exchange:
                await _Writing(exchange, digest, size).run(chunks)
        except RpcError as error:
            if error.code != Code.ALREADY_EXISTS:
                raise StoreFailed(error.message) from error


class _Writing:
    """A blob on its way: what it is, its bytes, that they were all; each message is answered."""

    def __init__(self, exchange: H2Exchange, digest: str, size: int) -> None:
        self._exchange = exchange
        self._digest = digest
        self._size = size
        self._offset = 0

    async def run(self, chunks: AsyncIterator[bytes]) -> None:
        await self._tell(_STAT)
        async for chunk in chunks:
            for start in range(0, len(chunk), _CHUNK):
                await self._tell(_WRITE, chunk[start : start + _CHUNK])
        await self._tell(_COMMIT)
        await self._exchange.end()
        while await self._exchange.receive_all():
            pass

    async def _tell(self, action: int, data: bytes = b"") -> None:
        """What an earlier build left of the blob is cut off by the first bytes, at offset 0."""
        await self._exchange.send(
            content.WriteContentRequest(
                action=action,
                ref=f"wharf-{self._digest}",
                total=self._size,
                expected=self._digest,
                offset=self._offset,
                data=data,
            )
        )
        if await self._exchange.receive() is None:
            raise RpcError(Code.INTERNAL, f"the client gave up writing {self._digest}")
        self._offset += len(data)
