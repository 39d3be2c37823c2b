"""`docker update`: other limits and another restart policy for a container, at once where it runs.

Checks, texts and their order are those of moby's `container.UpdateContainer`: only what the client names changes.
"""

from typing import Any

import msgspec

from engine.core.errors import Conflict, Internal
from engine.core.model.container import Container, HostConfig, Status
from engine.domain.containers.announce import Announcer
from engine.domain.containers.failures import MarkedForRemoval
from engine.domain.containers.limits import Limits, enforceable, require_realtime, require_valid_limits
from engine.domain.containers.runner import Runner
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.validate import require_valid_restart_policy, warnings
from engine.drivers.runtime.failures import RuntimeFailed

_FIELDS = (
    "memory",
    "memory_swap",
    "memory_reservation",
    "kernel_memory",
    "cpu_realtime_period",
    "cpu_realtime_runtime",
    "cpu_shares",
    "nano_cpus",
    "cpu_period",
    "cpu_quota",
    "cpuset_cpus",
    "cpuset_mems",
    "blkio_weight",
)


class CannotUpdate(Conflict):
    """The change contradicts what the container has."""

    def __init__(self, container_id: str, reason: str) -> None:
        super().__init__(f"Cannot update container {container_id}: {reason}")


class UpdateFailed(Internal):
    """The runtime refused; nothing is changed."""

    def __init__(self, container_id: str, reason: str) -> None:
        super().__init__(f"Cannot update container {container_id}: {reason}")


class Updater:
    """Changes containers' limits."""

    def __init__(self, table: ContainerTable, runner: Runner, limits: Limits, announcer: Announcer) -> None:
        self._table = table
        self._runner = runner
        self._limits = limits
        self._announcer = announcer

    async def update(self, reference: str, wanted: HostConfig) -> list[str]:
        """Return warnings. Raises ContainerNotFound, InvalidParameter, CannotUpdate, UpdateFailed."""
        wanted, dropped = enforceable(_unlimited(wanted), self._limits)
        require_valid_restart_policy(wanted.restart_policy)
        require_realtime(wanted, self._limits)
        require_valid_limits(wanted, self._limits)
        container = self._table.get(reference)
        async with self._table.lock(container.id):
            container = self._table.get(container.id)
            if container.state.status in (Status.REMOVING, Status.DEAD):
                raise MarkedForRemoval
            host_config = merged(container, wanted)
            if container.state.status in (Status.RUNNING, Status.PAUSED):
                await self._apply(container, wanted)
            updated = await self._table.change(container.id, host_config=host_config)
        self._announcer.container(updated, "update")
        # Without a network there is none to warn of.
        return [*dropped, *warnings(msgspec.structs.replace(wanted, network_mode="none"), self._limits)]

    async def _apply(self, container: Container, wanted: HostConfig) -> None:
        try:
            await self._runner.limit(container, wanted)
        except RuntimeFailed as error:
            raise UpdateFailed(container.id, str(error)) from error


def _unlimited(wanted: HostConfig) -> HostConfig:
    """Any number below one means no limit of processes."""
    if wanted.pids_limit is not None and wanted.pids_limit < 1:
        return msgspec.structs.replace(wanted, pids_limit=0)
    return wanted


def merged(container: Container, wanted: HostConfig) -> HostConfig:
    """Return the container's host configuration with what the client names. Raises CannotUpdate."""
    present = container.host_config
    if problem := _contradiction(present, wanted):
        raise CannotUpdate(container.id, problem)
    changes: dict[str, Any] = {field: getattr(wanted, field) for field in _FIELDS if getattr(wanted, field)}
    if wanted.pids_limit is not None:
        changes["pids_limit"] = wanted.pids_limit
    if wanted.restart_policy.name:
        changes["restart_policy"] = wanted.restart_policy
    return msgspec.structs.replace(present, **changes)


def _contradiction(present: HostConfig, wanted: HostConfig) -> str:
    conflicting = "Conflicting options: {} cannot be updated as {} has already been set"
    checks = (
        (wanted.nano_cpus > 0 and present.cpu_period > 0, conflicting.format("Nano CPUs", "CPU Period")),
        (wanted.nano_cpus > 0 and present.cpu_quota > 0, conflicting.format("Nano CPUs", "CPU Quota")),
        (wanted.cpu_period > 0 and present.nano_cpus > 0, conflicting.format("CPU Period", "NanoCPUs")),
        (wanted.cpu_quota > 0 and present.nano_cpus > 0, conflicting.format("CPU Quota", "NanoCPUs")),
        (
            wanted.memory > present.memory_swap and not wanted.memory_swap and present.memory_swap != -1,
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ),
        (
            present.auto_remove and wanted.restart_policy.name not in ("", "no"),
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ),
    )
    return next((text for wrong, text in checks if wrong), "")
