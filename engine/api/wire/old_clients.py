"""What older API versions did not know, for a create request: dropped, reset to the old default, or refused.

Each step names the version that brought the setting.
"""

from collections.abc import Mapping

import msgspec

from engine.core.errors import Internal, InvalidParameter
from engine.core.model.container import ContainerConfig, HostConfig, Mount
from engine.core.model.network import EndpointSettings

_Version = tuple[int, int]
_OPTIONS = (
    ("VolumeOptions", "volume_options", "volume"),
    ("BindOptions", "bind_options", "bind"),
    ("TmpfsOptions", "tmpfs_options", "tmpfs"),
)


class NeedsNewerVersion(InvalidParameter):
    """A setting that must not be dropped in silence."""

    def __init__(self, what: str, version: str) -> None:
        super().__init__(f"{what} needs API v{version} or newer")


class ForeignMountOptions(InvalidParameter):
    """Options of one type of mount at a mount of another type."""

    def __init__(self, options: str, mount_type: str) -> None:
        super().__init__(f'{options} must not be specified on mount type "{mount_type}"')


class ManyNetworks(InvalidParameter):
    """Several networks, before API 1.44."""

    def __init__(self, names: str) -> None:
        super().__init__(f"Container cannot be created with multiple network endpoints: {names}")


class InterfaceSysctl(Internal):
    """A kernel parameter of one interface (API 1.48: belongs to the endpoint). dockerd answers 500."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f'interface specific sysctl setting "{name}" must be supplied using driver option '
            "'com.docker.network.endpoint.sysctls'"
        )


def adapt_config(config: ContainerConfig, version: _Version) -> ContainerConfig:
    """Return the configuration as a client of that version means it."""
    if version >= (1, 44) or config.healthcheck is None:
        return config
    return msgspec.structs.replace(config, healthcheck=msgspec.structs.replace(config.healthcheck, start_interval=0))


def adapt_host_config(host_config: HostConfig, version: _Version) -> HostConfig:
    """Return the host configuration as a client of that version means it. Raises InvalidParameter, Internal."""
    changes: dict[str, object] = {}
    if version < (1, 25):
        changes["auto_remove"] = False  # The client removes the container itself.
    if version < (1, 40):
        changes["kernel_memory_tcp"] = 0
        changes["ipc_mode"] = host_config.ipc_mode or "shareable"
    if version < (1, 42):
        changes["console_size"] = (0, 0)
    else:
        changes["kernel_memory"] = 0
    if version < (1, 43):
        changes["annotations"] = None
    if version >= (1, 48):
        _require_no_interface_sysctl(host_config)
    if host_config.pids_limit is not None and host_config.pids_limit <= 0:
        changes["pids_limit"] = None
    if host_config.mounts:
        changes["mounts"] = [_adapt_mount(m, version) for m in host_config.mounts]
    return msgspec.structs.replace(host_config, **changes)


def _require_no_interface_sysctl(host_config: HostConfig) -> None:
    for name in host_config.sysctls or ():
        parts = name.split(".")
        if len(parts) == 5 and parts[0] == "net" and parts[2] in ("conf", "neigh") and parts[3].startswith("eth"):
            raise InterfaceSysctl(name)


def _adapt_mount(mount: Mount, version: _Version) -> Mount:
    if version >= (1, 42):
        _require_own_options(mount)
    _require_known(mount, version)
    changes: dict[str, object] = {}
    bind = mount.bind_options
    if bind is not None and version < (1, 42):
        bind = msgspec.structs.replace(bind, create_mountpoint=False)
        if version < (1, 40):
            bind = msgspec.structs.replace(bind, non_recursive=False)
        changes["bind_options"] = bind
    return msgspec.structs.replace(mount, **changes)


def _require_own_options(mount: Mount) -> None:
    for name, field, mount_type in _OPTIONS:
        if getattr(mount, field) is not None and mount.type != mount_type:
            raise ForeignMountOptions(name, mount.type)


def _require_known(mount: Mount, version: _Version) -> None:
    if (
        version < (1, 44)
        and mount.type == "bind"
        and mount.bind_options
        and mount.bind_options.read_only_force_recursive
    ):
        raise NeedsNewerVersion("BindOptions.ReadOnlyForceRecursive", "1.44")
    if version < (1, 45) and mount.volume_options and mount.volume_options.subpath:
        raise NeedsNewerVersion("VolumeOptions.Subpath", "1.45")
    if version < (1, 48) and mount.type == "image":
        raise NeedsNewerVersion('Mount type "Image"', "1.48")


def require_few_networks(networks: Mapping[str, EndpointSettings], version: _Version) -> None:
    """Raise ManyNetworks for more than one before API 1.44."""
    if version < (1, 44) and len(networks) > 1:
        raise ManyNetworks(", ".join(networks))


def adapt_networks(
    networks: Mapping[str, EndpointSettings], config: ContainerConfig, version: _Version
) -> dict[str, EndpointSettings]:
    """Return the endpoints as a client of that version means them: no address of their own, no priority."""
    changes: dict[str, object] = {}
    if version < (1, 44) and not config.mac_address:
        changes["mac_address"] = ""
    if version < (1, 48):
        changes["gw_priority"] = 0
    return {name: msgspec.structs.replace(e, **changes) for name, e in networks.items()}
