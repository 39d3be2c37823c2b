"""What can go wrong with plugins, in dockerd's words."""

from engine.core.errors import Conflict, Forbidden, Internal, InvalidParameter, NotFound


class PluginNotFound(NotFound):
    """No plugin has that name or ID."""

    def __init__(self, name: str) -> None:
        super().__init__(f'plugin "{name}" not found')


class LegacyPluginFailed(Internal):
    """A plugin that runs by itself cannot be used."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"legacy plugin: {reason}")


class NotImplementedByPlugin(LegacyPluginFailed):
    """The plugin is there and is of another kind."""

    def __init__(self, name: str, capability: str) -> None:
        super().__init__(
            f'Plugin does not implement the requested driver: plugin="{name}", requested implementation="{capability}"'
        )


class PluginExists(Conflict):
    """The name is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"plugin {name} already exists")


class PluginDisabled(Conflict):
    """The plugin is installed and does not run."""

    def __init__(self, name: str) -> None:
        super().__init__(f"plugin {name} found but disabled")


class AlreadyDisabled(Conflict):
    """It is not running as it is."""

    def __init__(self, name: str) -> None:
        super().__init__(f"plugin is already disabled: plugin {name} found but disabled")


class PluginEnabled(Conflict):
    """What runs cannot be removed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"plugin {name} is enabled")


class AlreadyEnabled(Conflict):
    """It runs as it is."""

    def __init__(self, name: str) -> None:
        super().__init__(f"plugin already enabled: plugin {name} is enabled")


class PluginInUse(Conflict):
    """Volumes or other things of the plugin exist."""

    def __init__(self, name: str) -> None:
        super().__init__(f"plugin {name} is in use")


class LacksCapability(Internal):
    """An installed plugin is of another kind."""

    def __init__(self, capability: str) -> None:
        super().__init__(f'plugin does not provide "{capability}" capability')


class SettingActivePlugin(Internal):
    """Settings count from the next start on, so dockerd wants the plugin disabled. It answers 500."""

    def __init__(self) -> None:
        super().__init__("cannot set on an active plugin, disable plugin before setting")


class NotSettable(Internal):
    """The configuration does not let it be set. dockerd answers 500 here and below."""

    def __init__(self, key: str) -> None:
        super().__init__(f'"{key}" is not settable')


class UnknownSetting(Internal):
    """The configuration has no such name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'setting "{name}" not found in the plugin configuration')


class InvalidAssignment(Internal):
    """Not NAME[.FIELD][=VALUE]."""

    def __init__(self) -> None:
        super().__init__("invalid format, must be <name>[.<field>][=<value>]")


class InvalidConfig(Internal):
    """The plugin's configuration cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"failed to parse config: {reason}")


class ConfigMissing(Internal):
    """An archive without `config.json`."""

    def __init__(self) -> None:
        super().__init__("config not found")


class UnreadableArchive(Internal):
    """Not a tar archive."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"failed to read from tar: {reason}")


class UnparsableName(Internal):
    """A new plugin's name is no reference."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"failed to parse reference {name}: {reason}")


class CanonicalName(Internal):
    """A digest cannot be a new plugin's name."""

    def __init__(self) -> None:
        super().__init__("canonical references are not permitted")


class PluginNameTaken(InvalidParameter):
    """The same when a plugin is installed: dockerd answers 400 here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"plugin {name} already exists")


class PluginNotResolved(Internal):
    """The registry does not say what a name stands for."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"error resolving plugin reference: {reason}")


class PluginNotInRegistry(NotFound):
    """The registry does not know the name."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"error resolving plugin reference: {reason}")


class PluginNotPushed(Internal):
    """The registry did not answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"error pushing plugin: failed to do request: {reason}")


class NotAPlugin(Internal):
    """What the registry has under the name is something else."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"did not find plugin config for specified reference {reference}")


class WrongPrivileges(Forbidden):
    """The client has agreed to something else than what the plugin wants."""

    def __init__(self) -> None:
        super().__init__("incorrect privileges")


class MountSourceMissing(Internal):
    """A mount without a source has to be set before the plugin can run."""

    def __init__(self) -> None:
        super().__init__("mount source is not specified")


class OutsidePlugin(Internal):
    """A plugin names a path that leads out of its own tree."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the plugin's path {path} is no directory of its own")


class PluginSilent(Internal):
    """The plugin does not listen on its socket."""

    def __init__(self, path: object) -> None:
        super().__init__(f"dial unix {path}: connect: no such file or directory")
