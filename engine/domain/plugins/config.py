"""A plugin's configuration: from its file to the model and back, and what it wants of the host. Pure.

The file's keys are read in any case, as Go reads them; it is written as Docker writes it.
"""

import re
from typing import Any

import msgspec

from engine.core.model.plugin import (
    PluginArgs,
    PluginConfig,
    PluginDevice,
    PluginEnv,
    PluginMount,
    PluginSettings,
    Privilege,
)
from engine.domain.plugins.failures import InvalidConfig

_TYPE = re.compile(r"([a-z]+)\.([a-z0-9_.-]+)/(.+)")
_HARMLESS_NETWORKS = ("", "null", "bridge")


def read_config(data: bytes) -> PluginConfig:
    """Return what `config.json` says. Raises InvalidConfig."""
    try:
        config = msgspec.convert(_lowered(msgspec.json.decode(data)), PluginConfig, strict=False)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise InvalidConfig(str(error)) from error
    for kind in config.interface.types or ():
        if not _TYPE.fullmatch(kind):
            raise InvalidConfig(f'invalid interface type "{kind}"')
    return config


def _lowered(value: Any) -> Any:
    """Return JSON with all keys in lower case; null is what is not there."""
    if isinstance(value, dict):
        return {key.lower(): _lowered(item) for key, item in value.items() if item is not None}
    return [_lowered(item) for item in value] if isinstance(value, list) else value


def capabilities(config: PluginConfig) -> list[str]:
    """Return what the plugin implements: `volumedriver`, `authz`, …"""
    found = [_TYPE.fullmatch(kind) for kind in config.interface.types or ()]
    return [match[2] for match in found if match is not None and match[1] == "docker"]


def initial_settings(config: PluginConfig) -> PluginSettings:
    """Return the settings of a plugin that nobody has changed."""
    return PluginSettings(
        mounts=list(config.mounts or ()),
        env=[f"{env.name}={env.value}" for env in config.env or () if env.value is not None],
        args=list(config.args.value or ()),
        devices=list(config.linux.devices or ()),
    )


def privileges(config: PluginConfig) -> list[Privilege]:
    """Return what the plugin's user has to agree to, as Docker words it."""
    linux = config.linux
    found = [
        (
            "network",
            "permissions to access a network",
            config.network.type not in _HARMLESS_NETWORKS,
            [config.network.type],
        ),
        ("host ipc namespace", "allow access to host ipc namespace", config.ipc_host, ["true"]),
        ("host pid namespace", "allow access to host pid namespace", config.pid_host, ["true"]),
        *(("mount", "host path to mount", m.source is not None, [m.source or ""]) for m in config.mounts or ()),
        *(("device", "host device to access", d.path is not None, [d.path or ""]) for d in linux.devices or ()),
        ("allow-all-devices", "allow 'rwm' access to all devices", linux.allow_all_devices, ["true"]),
        (
            "capabilities",
            "list of additional capabilities required",
            bool(linux.capabilities),
            list(linux.capabilities or ()),
        ),
    ]
    return [Privilege(name=name, description=text, value=value) for name, text, wanted, value in found if wanted]


def encode_config(config: PluginConfig) -> dict[str, Any]:
    """Return the configuration as Docker's JSON has it."""
    interface = config.interface
    scheme = {"ProtocolScheme": interface.protocol_scheme} if interface.protocol_scheme else {}
    rootfs = config.rootfs
    user = {name: value for name, value in (("GID", config.user.gid), ("UID", config.user.uid)) if value}
    return {
        "Args": encode_args(config.args),
        "Description": config.description,
        **({"DockerVersion": config.docker_version} if config.docker_version else {}),
        "Documentation": config.documentation,
        "Entrypoint": config.entrypoint,
        "Env": None if config.env is None else [encode_env(e) for e in config.env],
        "Interface": {**scheme, "Socket": interface.socket, "Types": interface.types},
        "IpcHost": config.ipc_host,
        "Linux": {
            "AllowAllDevices": config.linux.allow_all_devices,
            "Capabilities": config.linux.capabilities,
            "Devices": None if config.linux.devices is None else [encode_device(d) for d in config.linux.devices],
        },
        "Mounts": None if config.mounts is None else [encode_mount(m) for m in config.mounts],
        "Network": {"Type": config.network.type},
        "PidHost": config.pid_host,
        "PropagatedMount": config.propagated_mount,
        "User": user,
        "WorkDir": config.work_dir,
        **({} if rootfs is None else {"rootfs": {"diff_ids": rootfs.diff_ids, "type": rootfs.type}}),
    }


def encode_args(args: PluginArgs) -> dict[str, Any]:
    """Return the arguments as Docker's JSON has them."""
    return {"Description": args.description, "Name": args.name, "Settable": args.settable, "Value": args.value}


def encode_env(env: PluginEnv) -> dict[str, Any]:
    """Return a variable as Docker's JSON has it."""
    return {"Description": env.description, "Name": env.name, "Settable": env.settable, "Value": env.value}


def encode_device(device: PluginDevice) -> dict[str, Any]:
    """Return a device as Docker's JSON has it."""
    return {
        "Description": device.description,
        "Name": device.name,
        "Path": device.path,
        "Settable": device.settable,
    }


def encode_mount(mount: PluginMount) -> dict[str, Any]:
    """Return a mount as Docker's JSON has it."""
    return {
        "Description": mount.description,
        "Destination": mount.destination,
        "Name": mount.name,
        "Options": mount.options,
        "Settable": mount.settable,
        "Source": mount.source,
        "Type": mount.type,
    }
