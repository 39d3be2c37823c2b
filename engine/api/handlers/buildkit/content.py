"""containerd's `Content` service, for reading only: what records of builds point at, and the images' documents."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator

from engine.api.transport.rpc import Call, Code, Endpoint, RpcError
from engine.api.wire.buildkit_history import encode_failure
from engine.core import digest as digests
from engine.domain.builder.history import BuildHistory
from engine.domain.builder.protocol.messages import Message, content
from engine.drivers.storage.content import ContentStore

SERVICE = "containerd.services.content.v1.Content"
_CHUNK = 1 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class ContentService:
    """The service."""

    def __init__(self, history: BuildHistory, store: ContentStore) -> None:
        self._history = history
        self._store = store

    def endpoints(self) -> dict[str, Endpoint]:
        """Return the methods."""
        return {"Info": self._info, "Read": self._read}

    async def _info(self, request: Message, _call: Call) -> Message:
        kept = await self._kept(request.digest)
        size = self._store.size(self._known(request.digest)) if kept is None else len(kept)
        return content.InfoResponse(info=content.Info(digest=request.digest, size=size))

    async def _read(self, request: Message, _call: Call) -> AsyncIterator[Message]:
        at, left = max(0, request.offset), request.size or sys.maxsize
        kept = await self._kept(request.digest)
        if kept is not None:
            yield content.ReadContentResponse(offset=at, data=kept[at : at + left])
            return
        fd = await asyncio.to_thread(os.open, self._store.path(self._known(request.digest)), os.O_RDONLY | os.O_CLOEXEC)
        try:
            while data := await asyncio.to_thread(os.pread, fd, min(_CHUNK, left), at):
                yield content.ReadContentResponse(offset=at, data=data)
                at, left = at + len(data), left - len(data)
        finally:
            os.close(fd)

    async def _kept(self, digest: str) -> bytes | None:
        """Return a failure, a statement, or a log, that a record points at."""
        for record in self._history.completed():
            if record.log == digest:
                return await self._history.log(record)
            data = record.provenance.encode() if record.failure is None else encode_failure(record.failure)
            if digests.of(data) == digest:
                return data
        return None

    def _known(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest) or not self._store.has(digest):
            raise RpcError(Code.NOT_FOUND, f"content {digest}: not found")
        return digest
