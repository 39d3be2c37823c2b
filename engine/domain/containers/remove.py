"""`docker rm`, rename and prune."""

from dataclasses import dataclass

from engine.core.filters import Filters
from engine.core.model.container import Container, Status
from engine.core.model.event import EventType
from engine.domain.containers import links
from engine.domain.containers.announce import Announcer
from engine.domain.containers.erase import Eraser
from engine.domain.containers.failures import (
    CannotRemoveRunning,
    ContainerNotFound,
    EmptyName,
    NoLink,
    RemovalInProgress,
    RenameFailed,
    RenameInvalid,
    SameName,
)
from engine.domain.containers.network_settings import renamed
from engine.domain.containers.selection import prunable
from engine.domain.containers.sizes import Sizer
from engine.domain.containers.stop import Stopper
from engine.domain.containers.supervisor import Supervisor
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.validate import is_valid_name


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune removed, and the bytes that it gave back."""

    ids: list[str]
    reclaimed: int


class Remover:
    """Removes and renames containers."""

    def __init__(
        self, table: ContainerTable, stopper: Stopper, supervisor: Supervisor, eraser: Eraser, announcer: Announcer
    ) -> None:
        self._table = table
        self._stopper = stopper
        self._supervisor = supervisor
        self._eraser = eraser
        self._announcer = announcer

    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container. Raises CannotRemoveRunning, RemovalInProgress, ContainerNotFound."""
        container = self._table.get(reference)
        while not await self._is_removed(container, force=force, volumes=volumes):
            # Its restart was due, and it has started meanwhile.
            container = self._table.get(container.id)

    async def _is_removed(self, container: Container, *, force: bool, volumes: bool) -> bool:
        """Remove a container; tell whether it is gone. With `force`, it stays where it has just been started."""
        if container.state.running:
            if not force:
                raise CannotRemoveRunning(container.name, container.state.status)
            await self._stopper.kill_for_removal(container)
        if container.state.status is Status.REMOVING:
            raise RemovalInProgress(container.id)
        async with self._table.lock(container.id):
            present = self._table.find(container.id)
            if present is None:  # --rm removed it when it was killed
                return True
            if present.state.status is Status.RUNNING:
                if force:
                    return False
                raise CannotRemoveRunning(present.name, present.state.status)
            self._supervisor.cancel_restart(present.id)
            await self._eraser.erase(present, remove_volumes=volumes)
            return True

    async def unlink(self, reference: str) -> None:
        """Remove the legacy link `parent/alias`. Raises ContainerNotFound, NoLink."""
        self._table.get(reference)
        parent_name, _, alias = reference.removeprefix("/").partition("/")
        if not alias:
            raise NoLink
        parent = self._table.get(parent_name)
        async with self._table.lock(parent.id):
            host_config = self._table.get(parent.id).host_config
            await self._table.change(parent.id, host_config=links.without(host_config, alias))

    async def prune(self, filters: Filters, sizer: Sizer) -> Pruned:
        """Remove all containers that do not run and match."""
        removed: list[str] = []
        reclaimed = 0
        for container in prunable(self._table.all(), filters):
            size = (await sizer.measure(container)).rw
            try:
                await self.remove(container.id)
            except (CannotRemoveRunning, RemovalInProgress, ContainerNotFound):
                continue
            removed.append(container.id)
            reclaimed += size
        self._announcer.prune(EventType.CONTAINER, reclaimed)
        return Pruned(removed, reclaimed)

    async def rename(self, reference: str, name: str) -> Container:
        """Give a container another name. Raises EmptyName, SameName, RenameInvalid, RenameFailed."""
        if not reference or not name:
            raise EmptyName
        container = self._table.get(reference)
        wanted = name.removeprefix("/")
        if wanted == container.name:
            raise SameName
        if not is_valid_name(wanted):
            raise RenameInvalid(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        async with self._table.lock(container.id):
            container = self._table.get(container.id)
            old = container.name
            owner = self._table.name_owner(wanted)
            if owner is not None:
                raise RenameFailed(_taken(wanted, owner))
            self._table.reserve_name(wanted, container.id)
            present = await self._table.change(container.id, name=wanted, networks=renamed(container, wanted))
            self._table.free_name(old, container.id)
        await self._retarget_links(old, wanted)
        self._announcer.container(present, "rename", oldName=f"/{old}")
        return present

    async def _retarget_links(self, old: str, new: str) -> None:
        """Links follow the container that they lead to."""
        for parent in self._table.all():
            if parent.host_config.links and links.retargeted(parent.host_config, old, new):
                async with self._table.lock(parent.id):
                    changed = links.retargeted(self._table.get(parent.id).host_config, old, new)
                    if changed is not None:
                        await self._table.change(parent.id, host_config=changed)


def _taken(name: str, owner: str) -> str:
    return (
        f'Conflict. The container name "/{name}" is already in use by container "{owner}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
