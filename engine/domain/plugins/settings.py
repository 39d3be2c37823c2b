"""`docker plugin set`: assignments to what a plugin's configuration says can be set. Pure."""

from collections.abc import Iterable

import msgspec

from engine.core.model.plugin import InstalledPlugin, PluginDevice, PluginMount, PluginSettings
from engine.domain.plugins.failures import InvalidAssignment, NotSettable, UnknownSetting


class _Assignment(msgspec.Struct, frozen=True):
    name: str
    field: str
    value: str

    @property
    def key(self) -> str:
        return f"{self.name}.{self.field}" if self.field else self.name

    def require(self, settable: list[str] | None, default: str) -> None:
        """Raise NotSettable unless the field may be set; without one the default field is meant."""
        if (self.field or default) not in (settable or ()):
            raise NotSettable(self.key)


def changed(plugin: InstalledPlugin, assignments: Iterable[str]) -> PluginSettings:
    """Return the settings after `NAME[.FIELD][=VALUE]`… Raises InvalidAssignment, NotSettable, UnknownSetting."""
    settings = plugin.settings
    for assignment in [_parse(text) for text in assignments]:
        settings = _applied(plugin, settings, assignment)
    return settings


def _parse(text: str) -> _Assignment:
    key, _, value = text.partition("=")
    name, dot, field = key.partition(".")
    if not name or (dot and not field):
        raise InvalidAssignment
    return _Assignment(name, field, value)


def _applied(plugin: InstalledPlugin, settings: PluginSettings, wanted: _Assignment) -> PluginSettings:
    config, replace = plugin.config, msgspec.structs.replace
    for env in config.env or ():
        if env.name == wanted.name:
            wanted.require(env.settable, "value")
            return replace(settings, env=_with_variable(settings.env, env.name, wanted.value))
    for mount in config.mounts or ():
        if mount.name == wanted.name:
            wanted.require(mount.settable, "source")
            return replace(settings, mounts=[_with_source(m, wanted) for m in settings.mounts])
    for device in config.linux.devices or ():
        if device.name == wanted.name:
            wanted.require(device.settable, "path")
            return replace(settings, devices=[_with_path(d, wanted) for d in settings.devices])
    if config.args.name and config.args.name == wanted.name:
        wanted.require(config.args.settable, "value")
        return replace(settings, args=wanted.value.split())
    raise UnknownSetting(wanted.name)


def _with_variable(environment: list[str], name: str, value: str) -> list[str]:
    assignment = f"{name}={value}"
    if any(e.startswith(f"{name}=") for e in environment):
        return [assignment if e.startswith(f"{name}=") else e for e in environment]
    return [*environment, assignment]


def _with_source(mount: PluginMount, wanted: _Assignment) -> PluginMount:
    return msgspec.structs.replace(mount, source=wanted.value) if mount.name == wanted.name else mount


def _with_path(device: PluginDevice, wanted: _Assignment) -> PluginDevice:
    return msgspec.structs.replace(device, path=wanted.value) if device.name == wanted.name else device
