"""A container's tree as an archive, and what of it is not the image's: `docker export`, `docker diff`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from engine.core.errors import Internal
from engine.core.model.container import Container
from engine.domain.containers.announce import Announcer
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.views import Views
from engine.drivers.confine.confine import Confine
from engine.drivers.linux.pipes import Output, writing
from engine.drivers.storage.overlay import OverlayDriver


class ExportFailed(Internal):
    """The tree cannot be read."""


class Exporter:
    """Packs and compares containers' trees. Volumes are no part of them."""

    def __init__(
        self,
        table: ContainerTable,
        views: Views,
        confine: Confine,
        overlay: OverlayDriver,
        announcer: Announcer,
    ) -> None:
        self._table = table
        self._views = views
        self._confine = confine
        self._overlay = overlay
        self._announcer = announcer

    @contextlib.asynccontextmanager
    async def export(self, reference: str) -> AsyncIterator[Output]:
        """Give the archive of the whole tree. Raises ContainerNotFound, ExportFailed; so does its `ended`."""
        container = self._table.get(reference)
        async with (
            self._tree(container) as root,
            writing(lambda output: self._pack(container, root, output)) as archive,
        ):
            yield archive
        self._announcer.container(container, "export")

    @contextlib.asynccontextmanager
    async def _tree(self, container: Container) -> AsyncIterator[Path]:
        async with contextlib.AsyncExitStack() as stack:
            try:
                root = await stack.enter_async_context(self._views.tree(container))
            except OSError as error:
                raise _failed(container, error) from error
            yield root

    async def _pack(self, container: Container, root: Path, output: int) -> None:
        try:
            await self._confine.pack(root, output)
        except OSError as error:
            raise _failed(container, error) from error

    async def changes(self, reference: str) -> list[tuple[str, int]]:
        """Return the paths that differ from the image, each with 0: changed, 1: added, 2: deleted."""
        container = self._table.get(reference)
        lowers = await asyncio.to_thread(self._overlay.lowers, container.id)
        return await self._confine.archives.changes(self._overlay.upper(container.id), lowers)


def _failed(container: Container, error: OSError) -> ExportFailed:
    return ExportFailed(f"{container.id}: {error.strerror or error}")
