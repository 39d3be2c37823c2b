"""Restarts containers that became unhealthy, where they ask for it by the label `wharf.restart-unhealthy=true`.

dockerd leaves unhealthy containers alone. Listens to the events of health checks.
"""

import asyncio
import contextlib
import logging

from engine.core.errors import WharfError
from engine.core.model.event import EventType
from engine.domain.containers.stop import Stopper
from engine.domain.containers.table import ContainerTable
from engine.domain.events.bus import EventBus

log = logging.getLogger(__name__)
LABEL = "wharf.restart-unhealthy"
_UNHEALTHY = "health_status: unhealthy"


class Reviver:
    """Restarts unhealthy containers until it is closed."""

    def __init__(self, table: ContainerTable, stopper: Stopper, bus: EventBus) -> None:
        self._table = table
        self._stopper = stopper
        self._bus = bus
        self._restarts: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen; and look at those that were unhealthy already."""
        self._listening = asyncio.get_running_loop().create_task(self._listen(), name="revive")
        for container in self._table.all():
            if container.state.running and container.state.health and container.state.health.status == "unhealthy":
                self._revive(container.id)

    async def _listen(self) -> None:
        while True:
            # A subscription ends where its reader is too slow.
            with self._bus.subscribe(filters={"type": [EventType.CONTAINER], "event": [_UNHEALTHY]}) as events:
                async for event in events:
                    self._revive(event.actor)

    def _revive(self, container_id: str) -> None:
        container = self._table.find(container_id)
        if container is None or (container.config.labels or {}).get(LABEL, "").lower() != "true":
            return
        task = asyncio.get_running_loop().create_task(self._restart(container_id), name=f"revive {container_id}")
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _restart(self, container_id: str) -> None:
        log.info("container %s is unhealthy and is restarted, as its label %s asks for", container_id, LABEL)
        try:
            await self._stopper.restart(container_id)
        except (OSError, WharfError) as error:
            log.error("unhealthy container %s cannot be restarted: %s", container_id, error)

    async def close(self) -> None:
        """Stop listening; restarts under way are finished."""
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        await asyncio.gather(*self._restarts, return_exceptions=True)
