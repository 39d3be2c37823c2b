"""The size of a container's terminal."""

from engine.core.model.container import Status
from engine.domain.containers.announce import Announcer
from engine.domain.containers.failures import NotRunning
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.table import ContainerTable
from engine.drivers.runtime import console


class Resizer:
    """Resizes terminals of running containers."""

    def __init__(self, table: ContainerTable, paths: ContainerPaths, announcer: Announcer) -> None:
        self._table = table
        self._paths = paths
        self._announcer = announcer

    async def resize(self, reference: str, height: int, width: int) -> None:
        """Set height and width in characters. Raises NotRunning."""
        container = self._table.get(reference)
        if container.state.status not in (Status.RUNNING, Status.PAUSED):
            raise NotRunning(container.id)
        if container.config.tty:
            await console.resize(self._paths.bundle(container.id) / "ctl", height, width)
        self._announcer.container(container, "resize", height=str(height), width=str(width))
