"""What the codec must know of Docker's own Go types: which fields they leave out when empty, and how they are called.

The names appear in the messages that clients get for a value of the wrong type; whether a field is left out decides
between `null` and nothing.
"""

from engine.api.wire.volumes import VolumeCreate
from engine.core.model.container import (
    BindOptions,
    ContainerConfig,
    DeviceMapping,
    DeviceRequest,
    Empty,
    Healthcheck,
    HostConfig,
    ImageOptions,
    LogConfig,
    Mount,
    RestartPolicy,
    ThrottleDevice,
    TmpfsOptions,
    Ulimit,
    VolumeDriverConfig,
    VolumeOptions,
    WeightDevice,
)
from engine.core.model.exec import ExecConfig
from engine.core.model.network import IPAM, EndpointIPAMConfig, EndpointSettings, IPAMPool, PortBinding

ALL_FIELDS = ("*",)

# `omitempty` of a value: left out when false, 0, "" or an empty collection.
OMIT_EMPTY: dict[type, tuple[str, ...]] = {
    ContainerConfig: (
        "exposed_ports",
        "args_escaped",
        "network_disabled",
        "mac_address",
        "stop_signal",
        "shell",
    ),
    HostConfig: (
        "annotations",
        "storage_opt",
        "tmpfs",
        "sysctls",
        "runtime",
        "kernel_memory",
        "kernel_memory_tcp",
        "mounts",
    ),
    Healthcheck: ALL_FIELDS,
    Mount: ALL_FIELDS,
    BindOptions: ALL_FIELDS,
    VolumeOptions: ALL_FIELDS,
    VolumeDriverConfig: ALL_FIELDS,
    ImageOptions: ALL_FIELDS,
    TmpfsOptions: ALL_FIELDS,
    EndpointIPAMConfig: ALL_FIELDS,
    IPAMPool: ALL_FIELDS,
}
# `omitempty` of a pointer: left out when null, kept when it points at false or 0.
OMIT_NULL: dict[type, tuple[str, ...]] = {
    ContainerConfig: ("healthcheck", "stop_timeout"),
    HostConfig: ("init",),
}
# Fields of ours that Docker's type has not.
INTERNAL: dict[type, tuple[str, ...]] = {EndpointSettings: ("requested_mac", "interface")}

# Fields that take a single text for a list of one (Moby's strslice).
STRING_OR_LIST: dict[type, tuple[str, ...]] = {
    ContainerConfig: ("cmd", "entrypoint", "shell"),
    HostConfig: ("cap_add", "cap_drop"),
}

# What a type is called behind "of type".
TYPE_NAMES: dict[type, str] = {
    ContainerConfig: "container.Config",
    HostConfig: "container.HostConfig",
    LogConfig: "container.LogConfig",
    RestartPolicy: "container.RestartPolicy",
    Healthcheck: "v1.HealthcheckConfig",
    DeviceMapping: "container.DeviceMapping",
    DeviceRequest: "container.DeviceRequest",
    Ulimit: "units.Ulimit",
    WeightDevice: "blkiodev.WeightDevice",
    ThrottleDevice: "blkiodev.ThrottleDevice",
    Mount: "mount.Mount",
    BindOptions: "mount.BindOptions",
    VolumeOptions: "mount.VolumeOptions",
    ImageOptions: "mount.ImageOptions",
    TmpfsOptions: "mount.TmpfsOptions",
    PortBinding: "nat.PortBinding",
    EndpointSettings: "network.EndpointSettings",
    EndpointIPAMConfig: "network.EndpointIPAMConfig",
    IPAM: "network.IPAM",
    IPAMPool: "network.IPAMConfig",
    ExecConfig: "container.ExecOptions",
    VolumeCreate: "volume.CreateOptions",
    Empty: "struct {}",
}
# What stands before the first dot of a field's path; a create request's types are embedded and have no name there.
ROOT_NAMES: dict[type, str] = {
    ContainerConfig: "",
    HostConfig: "",
    ExecConfig: "ExecOptions",
    VolumeCreate: "CreateOptions",
}

# Integer fields that are not int64.
INTEGER_TYPES: dict[tuple[type, str], str] = {
    (HostConfig, "blkio_weight"): "uint16",
    (HostConfig, "oom_score_adj"): "int",
    (HostConfig, "console_size"): "uint",
    (RestartPolicy, "maximum_retry_count"): "int",
    (WeightDevice, "weight"): "uint16",
    (ThrottleDevice, "rate"): "uint64",
    (DeviceRequest, "count"): "int",
    (TmpfsOptions, "mode"): "uint32",
    (ContainerConfig, "stop_timeout"): "int",
    (Healthcheck, "retries"): "int",
    (Healthcheck, "interval"): "time.Duration",
    (Healthcheck, "timeout"): "time.Duration",
    (Healthcheck, "start_period"): "time.Duration",
    (Healthcheck, "start_interval"): "time.Duration",
    (EndpointSettings, "ip_prefix_len"): "int",
    (EndpointSettings, "global_ipv6_prefix_len"): "int",
    (EndpointSettings, "gw_priority"): "int",
    (ExecConfig, "console_size"): "uint",
}
INTEGER_RANGES = {
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "uint": (0, 2**64 - 1),
}
SIGNED_RANGE = (-(2**63), 2**63 - 1)
