"""Installed plugins: what they are, what their user has set, how they run.

Field names in records are those of the plugin configuration in lower case, as the file is read in any case.
"""

from msgspec import Struct, field

from engine.core.model.image import Descriptor


def _lower(name: str) -> str:
    return name.replace("_", "")


class PluginMount(Struct, frozen=True, kw_only=True, rename=_lower):
    """Something of the host that the plugin sees. `source` None: it has to be set before the plugin can run."""

    name: str = ""
    description: str = ""
    settable: list[str] | None = None
    source: str | None = None
    destination: str = ""
    type: str = ""
    options: list[str] | None = None


class PluginDevice(Struct, frozen=True, kw_only=True, rename=_lower):
    """A device of the host's."""

    name: str = ""
    description: str = ""
    settable: list[str] | None = None
    path: str | None = None


class PluginEnv(Struct, frozen=True, kw_only=True, rename=_lower):
    """A variable of the environment; without a value it is not set."""

    name: str = ""
    description: str = ""
    settable: list[str] | None = None
    value: str | None = None


class PluginArgs(Struct, frozen=True, kw_only=True, rename=_lower):
    """What follows the entry point."""

    name: str = ""
    description: str = ""
    settable: list[str] | None = None
    value: list[str] | None = None


class PluginInterface(Struct, frozen=True, kw_only=True, rename=_lower):
    """What the plugin implements (`docker.volumedriver/1.0`) and the socket that it listens on."""

    types: list[str] | None = None
    socket: str = ""
    protocol_scheme: str = ""


class PluginNetwork(Struct, frozen=True, kw_only=True, rename=_lower):
    """`host`, or anything else for a network without a way out."""

    type: str = ""


class PluginLinux(Struct, frozen=True, kw_only=True, rename=_lower):
    """What the plugin may do beyond a container's rights."""

    capabilities: list[str] | None = None
    allow_all_devices: bool = False
    devices: list[PluginDevice] | None = None


class PluginUser(Struct, frozen=True, kw_only=True, rename=_lower):
    """Whom it runs as; dockerd ignores it."""

    uid: int = 0
    gid: int = 0


class PluginRootfs(Struct, frozen=True, kw_only=True, rename=_lower):
    """Its layers by the digests of their plain archives."""

    type: str = ""
    diff_ids: list[str] | None = field(default=None, name="diff_ids")


class PluginConfig(Struct, frozen=True, kw_only=True, rename=_lower):
    """The plugin's own configuration."""

    description: str = ""
    documentation: str = ""
    docker_version: str = ""
    entrypoint: list[str] | None = None
    work_dir: str = ""
    user: PluginUser = PluginUser()
    interface: PluginInterface = PluginInterface()
    network: PluginNetwork = PluginNetwork()
    linux: PluginLinux = PluginLinux()
    propagated_mount: str = ""
    ipc_host: bool = False
    pid_host: bool = False
    mounts: list[PluginMount] | None = None
    env: list[PluginEnv] | None = None
    args: PluginArgs = PluginArgs()
    rootfs: PluginRootfs | None = None


class PluginSettings(Struct, frozen=True, kw_only=True):
    """What it runs with: the configuration's defaults and what the user has changed."""

    mounts: list[PluginMount]
    env: list[str]
    args: list[str]
    devices: list[PluginDevice]


class InstalledPlugin(Struct, frozen=True, kw_only=True):
    """One plugin. `name` is as users write it, with a tag; `layers` are chain IDs, bottom first.

    `monitor_pid` is that of the process that looks after it, 0 while it does not run.
    """

    id: str
    name: str
    reference: str
    config: PluginConfig
    settings: PluginSettings
    manifest: Descriptor
    config_blob: Descriptor
    blobs: list[Descriptor]
    layers: list[str]
    enabled: bool = False
    timeout: int = 0
    pid: int = 0
    monitor_pid: int = 0


class Privilege(Struct, frozen=True, kw_only=True):
    """Something that a plugin wants of the host and its user has to agree to."""

    name: str = ""
    description: str = ""
    value: list[str] | None = None
