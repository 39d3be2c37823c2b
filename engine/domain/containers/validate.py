"""What dockerd refuses in a container's configuration, with its texts and in its order. Pure.

Limits are in `limits.py`, modes and ports in `network_modes.py`, mounts in `mount_rules.py`.
"""

import re

from engine.core.errors import InvalidParameter
from engine.core.model.container import ContainerConfig, Healthcheck, HostConfig, RestartPolicy
from engine.core.signals import parse_signal
from engine.domain.containers.limits import Limits, require_realtime, require_shares, require_valid_limits
from engine.domain.containers.merge import clean_working_directory
from engine.domain.containers.mount_rules import require_valid_mount, require_valid_tmpfs_destination
from engine.domain.containers.network_modes import (
    InvalidMode,
    require_consistent_network,
    require_valid_extra_host,
    require_valid_modes,
    require_valid_ports,
)
from engine.domain.containers.remap import require_allowed
from engine.domain.containers.spec.capabilities import normalize

_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_MILLISECOND = 1_000_000
_POLICIES = ("", "no", "always", "on-failure", "unless-stopped")


class InvalidName(InvalidParameter):
    """Not a container's name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


class InvalidEnvironment(InvalidParameter):
    """A variable without a name."""

    def __init__(self, entry: str) -> None:
        super().__init__(f"invalid environment variable: {entry}")


class InvalidHealthcheck(InvalidParameter):
    """Times too short to be meant, or a negative number of retries."""

    def __init__(self, field: str, problem: str = "cannot be less than 1ms") -> None:
        super().__init__(f"{field} in Healthcheck {problem}")


class InvalidRestartPolicy(InvalidParameter):
    """A policy that does not exist, or retries with one that does not count."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"invalid restart policy: {problem}")


class RestartedAndRemoved(InvalidParameter):
    """A container cannot be removed at its end and started again."""

    def __init__(self) -> None:
        super().__init__("can't create 'AutoRemove' container with restart policy")


class InvalidOption(InvalidParameter):
    """A value that Linux, or this daemon, does not take."""


def is_valid_name(name: str) -> bool:
    """Tell whether a container may have that name; a leading slash does not count."""
    return _NAME.fullmatch(name) is not None


def require_valid_name(name: str) -> None:
    """Raise InvalidName."""
    if not is_valid_name(name):
        raise InvalidName(name)


def require_valid(config: ContainerConfig, host_config: HostConfig, limits: Limits) -> None:
    """Raise InvalidParameter for the first thing that dockerd would refuse before it looks for the image.

    `host_config` is the client's own, without the limits that this host cannot enforce.
    """
    require_consistent_network(config, host_config)
    _require_linux(host_config)
    require_realtime(host_config, limits)
    require_shares(host_config)
    _require_valid_config(config)
    _require_valid_host_config(host_config)
    require_valid_limits(host_config, limits)
    require_valid_modes(host_config)
    _require_valid_system(host_config, limits)
    if limits.userns_remapped:
        require_allowed(host_config)


def _require_linux(host_config: HostConfig) -> None:
    if host_config.isolation.lower() not in ("", "default"):
        raise InvalidOption(f"invalid isolation ({host_config.isolation}): linux only supports 'default'")
    for value, what in (
        (host_config.io_maximum_bandwidth, "bandwidth"),
        (host_config.io_maximum_iops, "IOPs"),
    ):
        if value:
            raise InvalidOption(f"invalid option: QoS maximum {what} configuration is not supported on linux")


def _require_valid_config(config: ContainerConfig) -> None:
    clean_working_directory(config.working_dir)
    if config.stop_signal:
        _require_signal(config.stop_signal)
    for entry in config.env or ():
        if not entry.partition("=")[0]:
            raise InvalidEnvironment(entry)
    if config.healthcheck is not None:
        _require_valid_healthcheck(config.healthcheck)


def _require_signal(text: str) -> None:
    """A number is taken as it is here: whether the kernel has it shows when it is sent."""
    if not (text.isascii() and text.isdecimal() and int(text)):
        parse_signal(text)


def _require_valid_healthcheck(check: Healthcheck) -> None:
    for field, value in (
        ("Interval", check.interval),
        ("Timeout", check.timeout),
    ):
        if value != 0 and value < _MILLISECOND:
            raise InvalidHealthcheck(field)
    if check.retries < 0:
        raise InvalidHealthcheck("Retries", "cannot be negative")
    for field, value in (("StartPeriod", check.start_period), ("StartInterval", check.start_interval)):
        if value != 0 and value < _MILLISECOND:
            raise InvalidHealthcheck(field)


def _require_valid_host_config(host_config: HostConfig) -> None:
    if host_config.auto_remove and host_config.restart_policy.name not in ("", "no"):
        raise RestartedAndRemoved
    for mount in host_config.mounts or ():
        require_valid_mount(mount)
    for entry in host_config.extra_hosts or ():
        require_valid_extra_host(entry)
    require_valid_ports(host_config)
    require_valid_restart_policy(host_config.restart_policy)
    normalize(host_config.cap_add or (), "CapAdd")
    normalize(host_config.cap_drop or (), "CapDrop")
    if "" in (host_config.annotations or {}):
        raise InvalidOption("invalid Annotations: the empty string is not permitted as an annotation key")


def require_valid_restart_policy(policy: RestartPolicy) -> None:
    """Raise InvalidRestartPolicy."""
    if policy.name not in _POLICIES:
        raise InvalidRestartPolicy(
            f"unknown policy '{policy.name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if policy.name != "on-failure" and policy.maximum_retry_count != 0:
        problem = "maximum retry count can only be used with 'on-failure'"
        raise InvalidRestartPolicy(f"{problem} and cannot be negative" if policy.maximum_retry_count < 0 else problem)
    if policy.maximum_retry_count < 0:
        raise InvalidRestartPolicy("maximum retry count cannot be negative")


def _require_valid_system(host_config: HostConfig, limits: Limits) -> None:
    if host_config.shm_size < 0:
        raise InvalidOption("SHM size can not be less than 0")
    if not -1000 <= host_config.oom_score_adj <= 1000:
        raise InvalidOption(f"Invalid value {host_config.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    parent = host_config.cgroup_parent
    if parent and limits.systemd_cgroups and not (len(parent) > len(".slice") and parent.endswith(".slice")):
        raise InvalidOption('cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"')
    if host_config.runtime and host_config.runtime not in limits.runtimes:
        raise InvalidOption(f"unknown or invalid runtime name: {host_config.runtime}")
    for destination in host_config.tmpfs or ():
        require_valid_tmpfs_destination(destination)
    if host_config.cgroupns_mode not in ("", "host", "private"):
        raise InvalidMode("cgroup namespace", host_config.cgroupns_mode)


def warnings(host_config: HostConfig, limits: Limits) -> list[str]:
    """Return what the client should know of a configuration that is accepted."""
    result = ["Image mount is an experimental feature" for m in host_config.mounts or () if m.type == "image"]
    if host_config.oom_kill_disable and host_config.memory == 0:
        result.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    if not limits.ipv4_forwarding and host_config.network_mode not in ("host", "none"):
        result.append("IPv4 forwarding is disabled. Networking will not work.")
    if host_config.network_mode == "host" and host_config.port_bindings:
        result.append("Published ports are discarded when using host network mode")
    if host_config.cgroupns_mode == "private" and not limits.cgroup_namespaces:
        result.append("Your kernel does not support cgroup namespaces.  Cgroup namespace setting discarded.")
    if host_config.volume_driver and any(m.type == "volume" for m in host_config.mounts or ()):
        result.append(
            "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. "
            "Use '--mount type=volume,volume-driver=...' instead"
        )
    return result
