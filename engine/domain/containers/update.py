"""`docker update`: other limits and another restart policy for a container, at once where it runs.

Checks, texts and their order are those of moby's `container.UpdateContainer`: only what the client names changes. Ours
alone: `PortBindings`, which are published in place of what was.
"""

from typing import Any

import msgspec

from engine.core.errors import Conflict, Internal
from engine.core.model.container import Container, HostConfig, Status
from engine.domain.containers.announce import Announcer
from engine.domain.containers.failures import MarkedForRemoval
from engine.domain.containers.limits import Limits, enforceable, require_realtime, require_valid_limits
from engine.domain.containers.network_modes import ConflictingOptions, require_valid_ports
from engine.domain.containers.runner import Runner
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.validate import require_valid_restart_policy, warnings
from engine.domain.networks.networks import Networks
from engine.domain.networks.sandbox import request_of
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
    """Changes containers' limits and published ports."""

    def __init__(
        self, table: ContainerTable, runner: Runner, networks: Networks, limits: Limits, announcer: Announcer
    ) -> None:
        self._table = table
        self._runner = runner
        self._networks = networks
        self._limits = limits
        self._announcer = announcer

    async def update(self, reference: str, wanted: HostConfig) -> list[str]:
        """Return warnings. Raises ContainerNotFound, InvalidParameter, CannotUpdate, UpdateFailed, PortUnavailable."""
        wanted, dropped = enforceable(_unlimited(wanted), self._limits)
        require_valid_restart_policy(wanted.restart_policy)
        require_realtime(wanted, self._limits)
        require_valid_limits(wanted, self._limits, update=True)
        require_valid_ports(wanted)
        container = self._table.get(reference)
        async with self._table.lock(container.id):
            container = self._table.get(container.id)
            if container.state.status in (Status.REMOVING, Status.DEAD):
                raise MarkedForRemoval
            changed = msgspec.structs.replace(container, host_config=merged(container, wanted))
            if container.state.status in (Status.RUNNING, Status.PAUSED):
                changed = await self._apply(container, changed, wanted)
            updated = await self._table.change(container.id, host_config=changed.host_config, sandbox=changed.sandbox)
        self._announcer.container(updated, "update")
        mode = updated.host_config.network_mode if wanted.port_bindings else "none"  # There is nothing to warn of.
        return [*dropped, *warnings(msgspec.structs.replace(wanted, network_mode=mode), self._limits)]

    async def _apply(self, container: Container, changed: Container, wanted: HostConfig) -> Container:
        """Let a running container feel it: all of it or, with WharfError, nothing."""
        if wanted.port_bindings is not None:
            await self._networks.republish(request_of(changed))
            sandbox = msgspec.structs.replace(container.sandbox, ports=self._networks.ports(container.id))
            changed = msgspec.structs.replace(changed, sandbox=sandbox)
        try:
            await self._runner.limit(container, wanted)
        except RuntimeFailed as error:
            if wanted.port_bindings is not None:
                await self._networks.republish(request_of(container))
            raise UpdateFailed(container.id, str(error)) from error
        return changed


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
    if wanted.port_bindings is not None:
        if present.network_mode.startswith("container:"):
            raise ConflictingOptions("port publishing and the container type network mode")
        changes["port_bindings"] = {_with_protocol(port): b for port, b in wanted.port_bindings.items()}
    return msgspec.structs.replace(present, **changes)


def _with_protocol(port: str) -> str:
    return port if "/" in port else f"{port}/tcp"


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
