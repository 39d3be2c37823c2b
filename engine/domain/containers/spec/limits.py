"""What a container may use: memory, CPU, I/O, processes, devices. Pure.

The objects follow the OCI runtime specification, "Linux Container Configuration"; sizes are bytes, times microseconds.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.core.errors import Internal, InvalidParameter
from engine.core.model.container import DeviceMapping, HostConfig, ThrottleDevice, WeightDevice
from engine.core.model.device import HostDevice
from engine.domain.containers.spec.request import SpecRequest

_PERIOD = 100_000
_UNSIGNED = (1 << 64) - 1
_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
_ALLOWED = ((1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1))
_FUSE = (10, 229)


class NoSuchDevice(InvalidParameter):
    """`--device` names something that is no device node."""

    def __init__(self, path: str) -> None:
        super().__init__(f"error gathering device information while adding custom device {path!r}: not a device node")


class InvalidShares(Internal):
    """An update gave CPU shares below zero to a container that did not run."""

    def __init__(self, shares: int) -> None:
        super().__init__(f"invalid CPU shares ({shares}): value must be a positive integer")


def wanted_devices(host_config: HostConfig) -> list[str]:
    """Return the paths of the host's devices that must be looked up before a spec can be made."""
    blkio = (
        *(host_config.blkio_weight_device or ()),
        *(host_config.blkio_device_read_bps or ()),
        *(host_config.blkio_device_write_bps or ()),
        *(host_config.blkio_device_read_iops or ()),
        *(host_config.blkio_device_write_iops or ()),
    )
    mapped = () if host_config.privileged else (d.path_on_host for d in host_config.devices or ())
    return list(dict.fromkeys([*mapped, *(d.path for d in blkio)]))


def resources(request: SpecRequest) -> dict[str, Any]:
    """Return `linux.resources`. Raises InvalidParameter, InvalidShares."""
    host_config = request.container.host_config
    if host_config.cpu_shares < 0:
        raise InvalidShares(host_config.cpu_shares)
    result: dict[str, Any] = {"devices": _device_rules(host_config, request.devices)}
    if memory := _memory(host_config, v2=request.host.cgroup_v2):
        result["memory"] = memory
    if cpu := _cpu(host_config):
        result["cpu"] = cpu
    if host_config.pids_limit and host_config.pids_limit > 0:
        result["pids"] = {"limit": host_config.pids_limit}
    if blkio := _blkio(host_config, request.devices):
        result["blockIO"] = blkio
    return result


def changed_resources(host_config: HostConfig, *, v2: bool) -> dict[str, Any]:
    """Return the limits alone that `host_config` sets, for a change of what runs. Devices are none of them."""
    result: dict[str, Any] = {}
    if memory := _memory(host_config, v2=v2):
        if host_config.memory_swap == -1:
            memory["swap"] = -1
        result["memory"] = memory
    if cpu := _cpu(host_config):
        result["cpu"] = cpu
    if host_config.pids_limit is not None:
        result["pids"] = {"limit": host_config.pids_limit if host_config.pids_limit > 0 else -1}
    if host_config.blkio_weight:
        result["blockIO"] = {"weight": host_config.blkio_weight}
    return result


def lifted(changed: Mapping[str, Any]) -> list[str]:
    """Return the controllers of which `changed_resources` take a limit away: pids, cpu (its quota)."""
    numbers = {"pids": changed.get("pids", {}).get("limit", 0), "cpu": changed.get("cpu", {}).get("quota", 0)}
    return [controller for controller, number in numbers.items() if number < 0]


def _memory(host_config: HostConfig, *, v2: bool) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in (
        ("limit", host_config.memory),
        ("reservation", host_config.memory_reservation),
        ("swap", host_config.memory_swap),
    ):
        if value > 0:
            result[key] = value
    swappiness = host_config.memory_swappiness
    if swappiness is not None and swappiness >= 0 and not v2:
        result["swappiness"] = swappiness
    if host_config.oom_kill_disable is not None and not v2:
        result["disableOOMKiller"] = host_config.oom_kill_disable
    return result


def _cpu(host_config: HostConfig) -> dict[str, Any]:
    quota, period = host_config.cpu_quota, host_config.cpu_period
    if host_config.nano_cpus > 0:
        period = _PERIOD
        quota = host_config.nano_cpus * period // 1_000_000_000
    values: dict[str, Any] = {
        "shares": host_config.cpu_shares & _UNSIGNED,  # As Go converts what is below zero.
        "quota": quota,
        "period": period,
        "realtimeRuntime": host_config.cpu_realtime_runtime,
        "realtimePeriod": host_config.cpu_realtime_period,
        "cpus": host_config.cpuset_cpus,
        "mems": host_config.cpuset_mems,
    }
    return {key: value for key, value in values.items() if value}


def _blkio(host_config: HostConfig, devices: Mapping[str, Sequence[HostDevice]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if host_config.blkio_weight:
        result["weight"] = host_config.blkio_weight
    if host_config.blkio_weight_device:
        result["weightDevice"] = [_weight(d, devices) for d in host_config.blkio_weight_device]
    for key, throttles in (
        ("throttleReadBpsDevice", host_config.blkio_device_read_bps),
        ("throttleWriteBpsDevice", host_config.blkio_device_write_bps),
        ("throttleReadIOPSDevice", host_config.blkio_device_read_iops),
        ("throttleWriteIOPSDevice", host_config.blkio_device_write_iops),
    ):
        if throttles:
            result[key] = [_throttle(d, devices) for d in throttles]
    return result


def _weight(device: WeightDevice, devices: Mapping[str, Sequence[HostDevice]]) -> dict[str, Any]:
    return _numbers(device.path, devices) | {"weight": device.weight}


def _throttle(device: ThrottleDevice, devices: Mapping[str, Sequence[HostDevice]]) -> dict[str, Any]:
    return _numbers(device.path, devices) | {"rate": device.rate}


def _numbers(path: str, devices: Mapping[str, Sequence[HostDevice]]) -> dict[str, Any]:
    found = devices.get(path)
    if not found:
        raise NoSuchDevice(path)
    return {"major": found[0].major, "minor": found[0].minor}


def _device_rules(host_config: HostConfig, devices: Mapping[str, Sequence[HostDevice]]) -> list[dict[str, Any]]:
    if host_config.privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    rules += [_allow("c", major, minor, "rwm") for major, minor in _ALLOWED]
    rules.append({"allow": False, "type": "c", "major": _FUSE[0], "minor": _FUSE[1], "access": "rwm"})
    for mapping in host_config.devices or ():
        access = mapping.cgroup_permissions or "rwm"
        rules += [_allow(d.kind, d.major, d.minor, access) for d in _found(mapping, devices)]
    return rules + [device_cgroup_rule(text) for text in host_config.device_cgroup_rules or ()]


def _allow(kind: str, major: int, minor: int, access: str) -> dict[str, Any]:
    return {"allow": True, "type": kind, "major": major, "minor": minor, "access": access}


def device_cgroup_rule(text: str) -> dict[str, Any]:
    """Parse `c 42:* rmw`. Raises InvalidParameter."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidDeviceCgroupRule(text)
    kind, major, minor, access = match.groups()
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
    if major != "*":
        rule["major"] = int(major)
    if minor != "*":
        rule["minor"] = int(minor)
    return rule


class InvalidDeviceCgroupRule(InvalidParameter):
    """`--device-cgroup-rule` is not of the form that the kernel takes."""

    def __init__(self, text: str) -> None:
        super().__init__(f'invalid device cgroup rule format: "{text}"')


def device_nodes(request: SpecRequest) -> list[dict[str, Any]]:
    """Return `linux.devices`: the nodes to make in the container. Raises InvalidParameter."""
    host_config = request.container.host_config
    if host_config.privileged:
        return [_node(d, d.path) for d in request.host.devices]
    nodes: dict[str, dict[str, Any]] = {}
    for mapping in host_config.devices or ():
        for node in _mapped(mapping, _found(mapping, request.devices)):
            nodes[node["path"]] = node
    return list(nodes.values())


def _found(mapping: DeviceMapping, devices: Mapping[str, Sequence[HostDevice]]) -> Sequence[HostDevice]:
    found = devices.get(mapping.path_on_host)
    if not found:
        raise NoSuchDevice(mapping.path_on_host)
    return found


def _mapped(mapping: DeviceMapping, found: Iterable[HostDevice]) -> list[dict[str, Any]]:
    """A directory's devices keep their place below it."""
    source, target = mapping.path_on_host, mapping.path_in_container or mapping.path_on_host
    return [_node(d, target + d.path.removeprefix(source)) for d in found]


def _node(device: HostDevice, path: str) -> dict[str, Any]:
    return {
        "path": path,
        "type": device.kind,
        "major": device.major,
        "minor": device.minor,
        "fileMode": device.mode,
        "uid": device.uid,
        "gid": device.gid,
    }
