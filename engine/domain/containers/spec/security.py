"""What a container may not see or do: system call filter, masked and read-only paths, kernel parameters. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.core.model.container import Container
from engine.domain.containers.security_options import parse_security_options
from engine.domain.containers.spec.request import HostFacts, SpecRequest
from engine.domain.containers.spec.seccomp import custom_filter, default_filter

# dockerd 28.5's lists.
MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def masked_paths(thermal_throttle: Iterable[str] = ()) -> list[str]:
    """Return the default masked paths; `thermal_throttle` are such directories in /sys as the host has for its CPUs."""
    return [*MASKED_PATHS, *thermal_throttle]


def security(request: SpecRequest, capabilities: Iterable[str]) -> dict[str, Any]:
    """Return seccomp, maskedPaths and readonlyPaths of `linux`. Raises InvalidParameter, Internal."""
    container = request.container
    result: dict[str, Any] = {}
    if filtered := _seccomp(container, request.host, tuple(capabilities), request.seccomp_profile):
        result["seccomp"] = filtered
    if container.host_config.masked_paths:
        result["maskedPaths"] = container.host_config.masked_paths
    if container.host_config.readonly_paths:
        result["readonlyPaths"] = container.host_config.readonly_paths
    return result


def _seccomp(
    container: Container, host: HostFacts, capabilities: tuple[str, ...], daemon_profile: str
) -> Mapping[str, Any] | None:
    wanted = parse_security_options(container.host_config.security_opt or ()).seccomp
    if container.host_config.privileged or not host.seccomp:
        return None
    profile = wanted or daemon_profile or "builtin"
    if profile == "unconfined":
        return None
    if profile == "builtin":
        return default_filter(capabilities, host.machine, host.kernel)
    return custom_filter(profile, capabilities, host.machine, host.kernel)


def sysctls(container: Container, *, remapped: bool) -> dict[str, str]:
    """Return kernel parameters: Docker's defaults for a network of its own, then what the client asks for.

    `remapped`: the container has a user namespace, in which not all groups exist.
    """
    result: dict[str, str] = {}
    mode = container.host_config.network_mode
    if mode != "host" and not mode.startswith("container:"):
        result["net.ipv4.ip_unprivileged_port_start"] = "0"
        if not remapped:
            result["net.ipv4.ping_group_range"] = "0 2147483647"
    if container.config.domainname:
        result["kernel.domainname"] = container.config.domainname
    return result | (container.host_config.sysctls or {})
