"""What a frontend asks of the solver while it makes graphs: files of trees, and what is known of images."""

from typing import Protocol

from engine.core.errors import NotFound
from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.convert.settings import BaseImage
from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import Edge
from engine.domain.builder.sources.client_origin import Layout


class FrontendFailed(InstructionWrong):
    """The Dockerfile or the options of a build are wrong in a way that has no line."""


class Reader(Protocol):
    """Makes trees, and reads from them."""

    async def read_file(self, edge: Edge, path: str, job: Job) -> bytes:
        """Return a file's content. Raises NotFound."""
        ...


class Resolved(Protocol):
    """What is known of an image."""

    @property
    def reference(self) -> str:
        """Its full name."""
        ...

    @property
    def digest(self) -> str:
        """The digest that the name points at."""
        ...

    @property
    def config(self) -> bytes:
        """Its configuration."""
        ...


class Resolver(Protocol):
    """Knows what images there are."""

    async def resolve(self, reference: str, platform: Platform | None, mode: str, job: Job) -> Resolved:
        """Return what is known of an image. Raises WharfError."""
        ...

    async def layout(self, layout: Layout, platform: Platform, log_name: str, job: Job) -> Resolved:
        """Return what is known of an image in a layout of the client's, told by that name. Raises WharfError."""
        ...


class Trees:
    """The solver, for one build."""

    def __init__(self, reader: Reader, resolver: Resolver, job: Job) -> None:
        self._reader = reader
        self._resolver = resolver
        self.job = job

    async def read(self, tree: Edge, path: str) -> bytes | None:
        """Return a file's content, None where there is none. Raises WharfError."""
        try:
            return await self._reader.read_file(tree, path, self.job)
        except NotFound:
            return None

    async def image(self, reference: str, platform: Platform, mode: str) -> BaseImage:
        """Return what is known of an image. Raises WharfError."""
        found = await self._resolver.resolve(reference, platform, mode or "default", self.job)
        return BaseImage(found.reference, found.digest, found.config)

    async def layout(self, layout: Layout, platform: Platform, log_name: str) -> bytes:
        """Return the configuration of an image in a layout. Raises WharfError."""
        return (await self._resolver.layout(layout, platform, log_name, self.job)).config
