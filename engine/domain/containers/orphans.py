"""What a killed daemon left of containers that never came to be, or were all but gone: directories without a record.

A container's directories are made before its record and removed before it, so whatever has no record is nobody's.
"""

import asyncio
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.core import ids
from engine.domain.containers import shm
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.table import ContainerTable
from engine.drivers.confine.pin import unpin_all
from engine.drivers.storage.overlay import OverlayDriver

log = logging.getLogger(__name__)


async def remove_orphans(table: ContainerTable, overlay: OverlayDriver, paths: ContainerPaths) -> None:
    """Remove trees, directories and bundles of containers that are not in the table. For the daemon's start."""
    for container_id in await asyncio.to_thread(overlay.all):
        if table.find(container_id) is None:
            log.info("removing the tree of container %s, which has no record", container_id)
            await overlay.remove(container_id)
    await asyncio.to_thread(_remove_directories, table, paths)


def _remove_directories(table: ContainerTable, paths: ContainerPaths) -> None:
    """Blocks; call in a thread."""
    for home in _without_record(table, paths.data / "containers"):
        shutil.rmtree(home, ignore_errors=True)
    for bundle in _without_record(table, paths.run / "containers"):
        shm.unmount(paths.shm(bundle.name))
        unpin_all(paths.subpaths(bundle.name))
        shutil.rmtree(bundle, ignore_errors=True)


def _without_record(table: ContainerTable, directory: Path) -> Iterator[Path]:
    for entry in list(directory.iterdir()):
        if ids.is_full(entry.name) and table.find(entry.name) is None:
            yield entry
