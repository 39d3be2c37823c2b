"""Plugins between Docker's JSON and the model."""

from typing import Any

import msgspec

from engine.api.wire.codec import InvalidJSON, decode, parse
from engine.core.model.plugin import InstalledPlugin, Privilege
from engine.domain.plugins.config import encode_config, encode_device, encode_mount


def encode_plugin(plugin: InstalledPlugin) -> dict[str, Any]:
    """Return a plugin as list and inspect show it."""
    settings = plugin.settings
    return {
        "Config": encode_config(plugin.config),
        "Enabled": plugin.enabled,
        "Id": plugin.id,
        "Name": plugin.name,
        **({"PluginReference": plugin.reference} if plugin.reference else {}),
        "Settings": {
            "Args": settings.args,
            "Devices": [encode_device(device) for device in settings.devices],
            "Env": settings.env,
            "Mounts": [encode_mount(mount) for mount in settings.mounts],
        },
    }


def encode_privilege(privilege: Privilege) -> dict[str, Any]:
    """Return something that a plugin wants."""
    return {"Name": privilege.name, "Description": privilege.description, "Value": privilege.value}


def decode_privileges(data: bytes) -> list[Privilege]:
    """Return what a client has agreed to. Raises InvalidJSON."""
    value = parse(data) if data.strip() else []
    if value is not None and not isinstance(value, list):
        raise InvalidJSON("json: cannot unmarshal object into Go value of type types.PluginPrivileges")
    return [decode(item, Privilege) for item in value or ()]


def decode_assignments(data: bytes) -> list[str]:
    """Return the texts of `docker plugin set`. Raises InvalidJSON."""
    try:
        return msgspec.convert(parse(data) or [], list[str])
    except msgspec.ValidationError as error:
        raise InvalidJSON("json: cannot unmarshal value into Go value of type []string") from error
