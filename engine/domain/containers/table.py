"""Which containers there are: immutable snapshots in memory, written through to the store.

Readers (`ps`, `inspect`, `stats`) take a snapshot and no lock; whoever changes a container holds `lock(id)` and
replaces its snapshot. Names are unique, and taken the moment they are reserved.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from engine.core import ids
from engine.core.model.container import Container, State, Status
from engine.domain.containers import health_rules, links
from engine.domain.containers.failures import AmbiguousPrefix, ContainerNotFound, NameInUse
from engine.state.store import Delete, Put, Store

KIND = "container"


class ContainerTable:
    """All containers by id and name."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_id: dict[str, Container] = {}
        self._names: dict[str, str] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def load(self) -> None:
        """Read the records. Blocks; used at start-up only."""
        for container in self._store.load(KIND, Container).values():
            self._by_id[container.id] = container
            self._names[container.name] = container.id

    def all(self) -> Iterable[Container]:
        """Return every container's snapshot, in no particular order."""
        return tuple(self._by_id.values())

    def find(self, container_id: str) -> Container | None:
        """Return the snapshot of a full id, or None where it is gone."""
        return self._by_id.get(container_id)

    def get(self, reference: str) -> Container:
        """Return the container with that id, name or unique id prefix, in this order; `parent/alias` is a link.

        Raises ContainerNotFound, AmbiguousPrefix.
        """
        if found := self._by_id.get(reference):
            return found
        owner = self._names.get(self._own_name(reference.removeprefix("/")))
        if owner is not None and owner in self._by_id:
            return self._by_id[owner]
        fitting = ids.matching(reference, self._by_id)
        if len(fitting) > 1:
            raise AmbiguousPrefix(reference)
        if not fitting:
            raise ContainerNotFound(reference)
        return self._by_id[fitting[0]]

    def _own_name(self, name: str) -> str:
        """Return the container's own name for one that it has by a legacy link; any other as it is."""
        parent_name, slash, alias = name.partition("/")
        parent = self.find(self._names.get(parent_name, "")) if slash else None
        return links.aliases(parent.host_config).get(alias, name) if parent else name

    def lock(self, container_id: str) -> asyncio.Lock:
        """Return the lock that whoever changes the container holds."""
        return self._locks.setdefault(container_id, asyncio.Lock())

    def name_owner(self, name: str) -> str | None:
        """Return the id of the container that has the name."""
        return self._names.get(name)

    def reserve_name(self, name: str, container_id: str) -> None:
        """Take a name. Raises NameInUse."""
        owner = self._names.setdefault(name, container_id)
        if owner != container_id:
            raise NameInUse(name, owner)

    def free_name(self, name: str, container_id: str) -> None:
        """Give a name back, where it is this container's."""
        if self._names.get(name) == container_id:
            del self._names[name]

    async def intend(self, container: Container) -> None:
        """Write down a container that is about to be made, as one to be removed: a daemon that dies before `insert`
        finds and undoes it at its next start. Not visible; `remove` forgets it."""
        state = msgspec.structs.replace(container.state, status=Status.REMOVING)
        await self._store.commit(Put(KIND, container.id, msgspec.structs.replace(container, state=state)))

    async def insert(self, container: Container) -> None:
        """Add a container whose name is reserved already; visible once it is written."""
        await self._store.commit(Put(KIND, container.id, container))
        self._by_id[container.id] = container

    async def replace(self, container: Container) -> Container:
        """Make a new snapshot the truth, in memory at once and on disk on return."""
        self._by_id[container.id] = container
        await self._store.commit(Put(KIND, container.id, container))
        return container

    async def change(self, container_id: str, **fields: Any) -> Container:
        """Replace fields of the container. Raises ContainerNotFound where it is gone."""
        present = self._by_id.get(container_id)
        if present is None:
            raise ContainerNotFound(container_id)
        return await self.replace(msgspec.structs.replace(present, **fields))

    async def change_state(self, container_id: str, **fields: Any) -> Container:
        """Replace fields of the container's state. Raises ContainerNotFound where it is gone."""
        present = self._by_id.get(container_id)
        if present is None:
            raise ContainerNotFound(container_id)
        return await self.change(container_id, state=msgspec.structs.replace(present.state, **fields))

    async def remove(self, container_id: str) -> None:
        """Forget a container and free its name."""
        await self._store.commit(Delete(KIND, container_id))
        gone = self._by_id.pop(container_id, None)
        if gone is not None:
            self.free_name(gone.name, container_id)
        self._locks.pop(container_id, None)


def ended(state: State, exit_code: int, finished_at: int, *, oom_killed: bool = False) -> dict[str, Any]:
    """Return the state fields that the end of a run changes."""
    return {
        "pid": 0,
        "monitor_pid": 0,
        "exit_code": exit_code,
        "finished_at": finished_at,
        "oom_killed": oom_killed or state.oom_killed,
        "health": health_rules.at_end(state.health),
    }
