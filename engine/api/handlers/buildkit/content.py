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
        failure = self._failure(request.digest)
        size = self._store.size(self._known(request.digest)) if failure is None else len(failure)
        return content.InfoResponse(info=content.Info(digest=request.digest, size=size))

    async def _read(self, request: Message, _call: Call) -> AsyncIterator[Message]:
        at, left = max(0, request.offset), request.size or sys.maxsize
        failure = self._failure(request.digest)
        if failure is not None:
            yield content.ReadContentResponse(offset=at, data=failure[at : at + left])
            return
        fd = await asyncio.to_thread(os.open, self._store.path(self._known(request.digest)), os.O_RDONLY | os.O_CLOEXEC)
        try:
            while data := await asyncio.to_thread(os.pread, fd, min(_CHUNK, left), at):
                yield content.ReadContentResponse(offset=at, data=data)
                at, left = at + len(data), left - len(data)
        finally:
            os.close(fd)

    def _failure(self, digest: str) -> bytes | None:
        """Return a failure that a record points at."""
        kept = (encode_failure(record.failure) for record in self._history.completed() if record.failure is not None)
        return next((data for data in kept if digests.of(data) == digest), None)

    def _known(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest) or not self._store.has(digest):
            raise RpcError(Code.NOT_FOUND, f"content {digest}: not found")
        return digest
