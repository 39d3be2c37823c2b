"""An installed plugin's OCI configuration: a container's, with what the plugin's own asks for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from engine.core.model.container import Container, ContainerConfig, HostConfig
from engine.core.model.device import HostDevice
from engine.core.model.plugin import InstalledPlugin, PluginMount
from engine.domain.containers.spec.build import HostFacts, Joined, SpecRequest, oci_spec
from engine.domain.containers.spec.security import READONLY_PATHS, masked_paths
from engine.domain.containers.users import ResolvedUser
from engine.domain.plugins.config import capabilities
from engine.domain.plugins.failures import MountSourceMissing
from engine.drivers.plugins import log

SOCKETS = "/run/docker/plugins"
_SHARED_FILES = ("/etc/hosts", "/etc/resolv.conf")
OciMount = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PluginSpecRequest:
    """A plugin to be started: its tree, the directories of its sockets and of the logs that it reads, its devices.

    `propagated` is what it has mounted for all to see.
    """

    plugin: InstalledPlugin
    rootfs: str
    sockets: str
    fifos: str
    propagated: str
    host: HostFacts
    cgroup: str
    devices: Sequence[HostDevice] = ()


def plugin_spec(request: PluginSpecRequest) -> dict[str, Any]:
    """Return the configuration. Raises MountSourceMissing, InvalidParameter."""
    config, settings = request.plugin.config, request.plugin.settings
    spec = oci_spec(
        SpecRequest(
            container=_as_container(request.plugin),
            rootfs=request.rootfs,
            user=ResolvedUser(),
            host=request.host,
            joined=Joined(network=None if config.network.type == "host" else ""),
            cgroup=request.cgroup,
        )
    )
    process, linux = dict(spec["process"]), dict(spec["linux"])
    process["args"] = [*(config.entrypoint or ()), *settings.args]
    process["cwd"] = config.work_dir or "/"
    process["env"] = [process["env"][0], *settings.env]
    if config.propagated_mount:
        linux["rootfsPropagation"] = "rshared"
    _add_devices(linux, request)
    return {**spec, "process": process, "linux": linux, "mounts": _mounts(spec["mounts"], request)}


def _as_container(plugin: InstalledPlugin) -> Container:
    """Return a container that is confined as a plugin is: without a system call filter, as with dockerd."""
    config = plugin.config
    host_config = HostConfig(
        network_mode="host" if config.network.type == "host" else "none",
        ipc_mode="host" if config.ipc_host else "private",
        pid_mode="host" if config.pid_host else "",
        cgroupns_mode="host",
        cap_add=list(config.linux.capabilities or ()),
        security_opt=["seccomp=unconfined"],
        masked_paths=masked_paths(),
        readonly_paths=list(READONLY_PATHS),
        shm_size=64 << 20,
    )
    return Container(
        id=plugin.id, name=plugin.name, created_at=0, image="", config=ContainerConfig(), host_config=host_config
    )


def _mounts(defaults: Sequence[OciMount], request: PluginSpecRequest) -> list[OciMount]:
    config, settings = request.plugin.config, request.plugin.settings
    own = [_mount(m) for m in settings.mounts]
    own.append(_bind(request.sockets, SOCKETS, "rbind", "rshared"))
    if log.CAPABILITY.lower() in capabilities(request.plugin.config):
        own.append(_bind(request.fifos, log.FIFOS, "rbind"))
    if config.propagated_mount:
        own.append(_bind(request.propagated, config.propagated_mount, "rbind", "rw", "rshared"))
    if config.network.type:
        own += [_bind(path, path, "rbind", "ro") for path in _SHARED_FILES]
    taken = {m["destination"] for m in own}
    kept = [m for m in defaults if m["destination"] not in taken]
    return [*kept, *sorted(own, key=lambda m: len(PurePosixPath(m["destination"]).parts))]


def _mount(mount: PluginMount) -> OciMount:
    if mount.source is None:
        raise MountSourceMissing
    return {
        "destination": mount.destination,
        "type": mount.type,
        "source": mount.source,
        "options": list(mount.options or ()),
    }


def _bind(source: str, destination: str, *options: str) -> OciMount:
    return {"destination": destination, "type": "bind", "source": source, "options": list(options)}


def _add_devices(linux: dict[str, Any], request: PluginSpecRequest) -> None:
    resources = dict(linux.get("resources") or {})
    rules = list(resources.get("devices") or ())
    if request.plugin.config.linux.allow_all_devices:
        rules = [{"allow": True, "access": "rwm"}]
    for device in request.devices:
        node = {"type": device.kind, "major": device.major, "minor": device.minor}
        rules.append({"allow": True, **node, "access": "rwm"})
        made = {"path": device.path, **node, "fileMode": device.mode, "uid": device.uid, "gid": device.gid}
        linux["devices"] = [*linux.get("devices", ()), made]
    linux["resources"] = {**resources, "devices": rules}
