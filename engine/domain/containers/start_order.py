"""The order in which containers start with the daemon: first what others depend on, as Compose has noted in labels.

Compose writes `com.docker.compose.depends_on=db:service_healthy:false,cache:service_started:true` on a container; only
Compose itself looks at it when a person runs `up`. After a reboot nobody does: hence this.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.core.model.container import Container
from engine.domain.containers.table import ContainerTable

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_DEPENDS_ON = "com.docker.compose.depends_on"
_HEALTHY = "service_healthy"
_PATIENCE = 120.0  # Seconds; what never gets ready must not keep others from starting for ever.
_LOOK_AGAIN = 0.1


@dataclass(frozen=True, slots=True)
class Need:
    """A container that another one waits for: until its start was tried, or until its health is known."""

    container_id: str
    healthy: bool = False


def needs(containers: Iterable[Container]) -> dict[str, list[Need]]:
    """Return what each of these containers has to wait for among them; in a circle, one does not. Pure."""
    everyone = list(containers)
    by_service: dict[tuple[str, str], list[str]] = {}
    for container in everyone:
        labels = container.config.labels or {}
        by_service.setdefault((labels.get(_PROJECT, ""), labels.get(_SERVICE, "")), []).append(container.id)
    wanted = {c.id: _wanted(c.config.labels or {}, by_service) for c in everyone}
    result: dict[str, list[Need]] = {}
    for container in everyone:
        _without_circles(container.id, wanted, result, ())
    return {container_id: found for container_id, found in result.items() if found}


def _wanted(labels: Mapping[str, str], by_service: Mapping[tuple[str, str], list[str]]) -> list[Need]:
    project, found = labels.get(_PROJECT), []
    for entry in labels.get(_DEPENDS_ON, "").split(",") if project else ():
        service, _, rest = entry.partition(":")
        condition = rest.partition(":")[0]
        found += [Need(c, condition == _HEALTHY) for c in by_service.get((str(project), service), ()) if service]
    return found


def _without_circles(
    container_id: str, wanted: Mapping[str, list[Need]], result: dict[str, list[Need]], above: tuple[str, ...]
) -> None:
    if container_id in result:
        return
    path = (*above, container_id)
    kept = [need for need in wanted[container_id] if need.container_id not in path]
    for need in kept:
        _without_circles(need.container_id, wanted, result, path)
    result[container_id] = kept


class StartOrder:
    """Lets containers wait for their turn. Without a plan everyone's turn is now."""

    def __init__(self, table: ContainerTable) -> None:
        self._table = table
        self._needs: dict[str, list[Need]] = {}
        self._tried: dict[str, asyncio.Event] = {}

    def plan(self, containers: Iterable[Container]) -> None:
        """Note the containers that will be started by and by."""
        self._needs = needs(containers)
        self._tried = {need.container_id: asyncio.Event() for found in self._needs.values() for need in found}

    async def turn(self, container_id: str) -> None:
        """Return when what the container depends on is ready, or has had its time."""
        try:
            async with asyncio.timeout(_PATIENCE):
                for need in self._needs.pop(container_id, ()):
                    await self._ready(need)
        except TimeoutError:
            return

    async def _ready(self, need: Need) -> None:
        await self._tried[need.container_id].wait()
        while need.healthy:
            container = self._table.find(need.container_id)
            health = container.state.health if container is not None and container.state.running else None
            if health is None or health.status != "starting":
                return
            await asyncio.sleep(_LOOK_AGAIN)

    def tried(self, container_id: str) -> None:
        """Note that the start of a container was tried."""
        if waited_for := self._tried.get(container_id):
            waited_for.set()
