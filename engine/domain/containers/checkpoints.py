"""`docker checkpoint`: what a container's processes are, frozen into files by criu. Experimental, as in dockerd.

The runtime does it, with criu, where that and the kernel can; where not, the client hears what they said.
"""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.core.errors import Conflict, Forbidden, Internal, InvalidParameter, NotImplementedHere
from engine.core.model.container import Container, Status
from engine.domain.containers.announce import Announcer
from engine.domain.containers.failures import NotRunning
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.runner import Runner
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.validate import is_valid_name
from engine.drivers.runtime.failures import RuntimeFailed


class NotExperimental(NotImplementedHere):
    """The daemon runs without `--experimental`."""

    def __init__(self) -> None:
        super().__init__(
            "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order "
            "to enable it."
        )


class StartNotExperimental(InvalidParameter):
    """The same, for a start from a checkpoint."""

    def __init__(self) -> None:
        super().__init__("checkpoint is only supported in experimental mode")


class InvalidCheckpointId(Internal):
    """A name that is none; dockerd answers 500."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid checkpoint ID ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


class NoSuchCheckpoint(Internal):
    """Nothing has that name; dockerd answers 500."""

    def __init__(self, name: str, container: str) -> None:
        super().__init__(f"checkpoint {name} does not exist for container {container}")


class CheckpointExists(Conflict):
    """The name is taken."""

    def __init__(self, name: str, container: str) -> None:
        super().__init__(f"checkpoint with name {name} already exists for container {container}")


class CannotCheckpoint(Internal):
    """criu, the runtime or the kernel refused."""

    def __init__(self, reference: str, runtime: str, reason: str) -> None:
        super().__init__(f"Cannot checkpoint container {reference}: {runtime} did not terminate successfully: {reason}")


class CustomDirectoryRefused(Forbidden):
    """A start from a checkpoint that is kept elsewhere."""

    def __init__(self) -> None:
        super().__init__("custom checkpointdir is not supported")


@dataclass(frozen=True, slots=True)
class CheckpointRequest:
    """A checkpoint to be made; `ends`: the container ends with it."""

    name: str
    directory: str = ""
    ends: bool = False


class Checkpoints:
    """Makes and keeps checkpoints."""

    def __init__(
        self,
        table: ContainerTable,
        runner: Runner,
        paths: ContainerPaths,
        announcer: Announcer,
        *,
        experimental: bool,
    ) -> None:
        self._table = table
        self._runner = runner
        self._paths = paths
        self._announcer = announcer
        self._experimental = experimental

    def require_experimental(self) -> None:
        """Raise NotExperimental without `--experimental`."""
        if not self._experimental:
            raise NotExperimental

    def _directory(self, container: Container, directory: str) -> Path:
        return Path(directory) if directory else self._paths.home(container.id) / "checkpoints"

    async def names(self, reference: str, directory: str = "") -> list[str]:
        """Return the names of a container's checkpoints. Raises NotExperimental, ContainerNotFound."""
        self.require_experimental()
        return await asyncio.to_thread(_names, self._directory(self._table.get(reference), directory))

    async def create(self, reference: str, request: CheckpointRequest) -> None:
        """Make a checkpoint.

        Raises NotExperimental, InvalidCheckpointId, NotRunning, CheckpointExists, CannotCheckpoint.
        """
        self.require_experimental()
        container = self._table.get(reference)
        if container.state.status is not Status.RUNNING:
            raise NotRunning(container.id)
        if not is_valid_name(request.name):
            raise InvalidCheckpointId(request.name)
        target = self._directory(container, request.directory) / request.name
        if not await asyncio.to_thread(_make, target):
            raise CheckpointExists(request.name, container.name)
        try:
            await self._runner.checkpoint(container, target, ends=request.ends)
        except RuntimeFailed as error:
            await asyncio.to_thread(shutil.rmtree, target, ignore_errors=True)
            raise CannotCheckpoint(reference, container.host_config.runtime, str(error)) from error
        self._announcer.container(container, "checkpoint")

    async def remove(self, reference: str, name: str, directory: str = "") -> None:
        """Remove a checkpoint. Raises NotExperimental, ContainerNotFound, NoSuchCheckpoint."""
        self.require_experimental()
        container = self._table.get(reference)
        where = self._directory(container, directory)
        if name not in await asyncio.to_thread(_names, where):
            raise NoSuchCheckpoint(name, reference)
        await asyncio.to_thread(shutil.rmtree, where / name)

    async def find(self, reference: str, name: str, directory: str) -> Path | None:
        """Return the files of the checkpoint that a container is to be started from; None for an ordinary start.

        Raises StartNotExperimental, ContainerNotFound, CustomDirectoryRefused, NoSuchCheckpoint.
        """
        if not name:
            return None
        if not self._experimental:
            raise StartNotExperimental
        container = self._table.get(reference)
        if container.state.running:
            return None  # The start will say what it says of any running container.
        if directory:
            raise CustomDirectoryRefused
        if name not in await self.names(reference):
            raise NoSuchCheckpoint(name, f"/{container.name}")
        return self._directory(container, "") / name


def _names(directory: Path) -> list[str]:
    """Blocks; call in a thread."""
    try:
        return sorted(entry.name for entry in directory.iterdir() if entry.is_dir())
    except OSError:
        return []


def _make(target: Path) -> bool:
    """Make the directory, and tell whether it was not there before. Blocks; call in a thread."""
    try:
        target.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return False
    return True
