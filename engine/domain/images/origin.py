"""Where an image's content comes from: a repository at a registry, or something that is like one."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from engine.core.model.image import Descriptor


class Origin(Protocol):
    """Gives content by digest; who asks verifies it."""

    @property
    def name(self) -> str:
        """What it is called: a repository's `host/path`."""
        ...

    async def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest or an index. Raises WharfError."""
        ...

    async def document(self, descriptor: Descriptor) -> bytes:
        """Return a small blob. Raises WharfError."""
        ...

    def blob(self, descriptor: Descriptor, offset: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Give a blob's bytes from `offset` on. Raises WharfError."""
        ...
