"""A container's tree as an archive, and what of it is not the image's: `docker export`, `docker diff`."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from engine.core.errors import Internal
from engine.domain.containers.announce import Announcer
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.views import Views
from engine.drivers.confine.confine import Confine
from engine.drivers.linux.pipes import output_of
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

    async def export(self, reference: str) -> AsyncGenerator[bytes, None]:
        """Yield the archive of the whole tree. Raises ContainerNotFound, ExportFailed."""
        container = self._table.get(reference)
        try:
            async with self._views.tree(container) as root:
                archive = output_of(lambda output: self._confine.pack(root, output))
                async with contextlib.aclosing(archive) as pieces:
                    async for piece in pieces:
                        yield piece
        except OSError as error:
            raise ExportFailed(f"{container.id}: {error.strerror or error}") from error
        self._announcer.container(container, "export")

    async def changes(self, reference: str) -> list[tuple[str, int]]:
        """Return the paths that differ from the image, each with 0: changed, 1: added, 2: deleted."""
        container = self._table.get(reference)
        lowers = await asyncio.to_thread(self._overlay.lowers, container.id)
        return await self._confine.archives.changes(self._overlay.upper(container.id), lowers)
