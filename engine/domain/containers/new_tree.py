"""The file tree of a new container: its layer over the image's, with the working directory that the client names.

dockerd makes that directory with the container, not with its first start, so that `docker cp` finds it; an image's own
working directory waits for the start.
"""

import asyncio
from collections.abc import Sequence

from engine.drivers.confine.confine import Confine
from engine.drivers.storage.overlay import OverlayDriver


class NewTrees:
    """Makes trees."""

    def __init__(self, overlay: OverlayDriver, confine: Confine) -> None:
        self._overlay = overlay
        self._confine = confine

    async def create(self, container_id: str, layers: Sequence[str], working_directory: str) -> None:
        """Make a tree. Raises NotADirectory, OSError; what was made by then is the caller's to remove."""
        await self._overlay.create(container_id, layers)
        if working_directory.strip("/"):
            await self._make_directory(container_id, working_directory)

    async def _make_directory(self, container_id: str, path: str) -> None:
        root = await self._overlay.mount(container_id)
        try:
            await self._confine.ensure_directory(root, path, 0, 0)
        finally:
            await asyncio.shield(asyncio.ensure_future(self._overlay.unmount(container_id)))
