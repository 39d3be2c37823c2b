"""Containers as `GET /containers/{id}/json`, `/containers/json`, `/top` and `/exec/{id}/json` show them.

What does not change while a container lives (its configuration) is made once and kept as JSON, since `ps` and
`inspect` are what clients ask most often.
"""

import base64
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol

import msgspec

from engine.api.wire.codec import encode
from engine.api.wire.network_settings import encode_listed_endpoints, encode_network_settings
from engine.api.wire.ports import encode_ports
from engine.core import times
from engine.core.model.container import Container, Health, HostConfig, ImageManifest, MountPoint, State, Status
from engine.core.model.exec import Exec
from engine.core.units import human_duration
from engine.domain.containers.detach_keys import parse as parse_detach_keys

_SECOND = 1_000_000_000
_STORAGE = "overlayfs"


class ImageNames(Protocol):
    """What a summary must know of images."""

    def id_of(self, reference: str) -> str | None:
        """Return the id that a reference points at now."""
        ...


@dataclass(frozen=True, slots=True)
class InspectExtras:
    """What an inspect answer needs beyond the container.

    `sizes` are the bytes of its own layer and of its whole tree, where asked for.
    """

    exec_ids: Sequence[str] = ()
    sizes: tuple[int, int] | None = None


class ExecStart(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /exec/{id}/start`."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None


def encode_inspect(container: Container, version: tuple[int, int], extras: InspectExtras) -> dict[str, Any]:
    """Return the whole of a container."""
    home = posixpath.dirname(container.log_path)
    etc = _EtcPaths.of(container, home)
    result: dict[str, Any] = {
        "Id": container.id,
        "Created": times.rfc3339(container.created_at),
        "Path": container.path,
        "Args": container.args,
        "State": _encode_state(container.state),
        "Image": container.image,
        "ResolvConfPath": etc.resolv_conf,
        "HostnamePath": etc.hostname,
        "HostsPath": etc.hosts,
        "LogPath": container.log_path if _logs_to_file(container) else "",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": _STORAGE,
        "Platform": container.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": _apparmor_profile(container.host_config),
        "ExecIDs": list(extras.exec_ids) or None,
        "HostConfig": _encode_host_config(container),
        "GraphDriver": {"Data": None, "Name": _STORAGE},
    }
    if extras.sizes is not None:
        result["SizeRw"], result["SizeRootFs"] = extras.sizes
    result["Mounts"] = [_encode_mount(m) for m in container.mounts]
    result["Config"] = _encode_config(container)
    result["NetworkSettings"] = encode_network_settings(container, version)
    if container.manifest is not None and version >= (1, 48):
        result["ImageManifestDescriptor"] = _encode_manifest(container.manifest)
    return result


def _encode_manifest(manifest: ImageManifest) -> dict[str, Any]:
    """An OCI descriptor, whose names are not Docker's."""
    platform = {"architecture": manifest.architecture, "os": manifest.os, "variant": manifest.variant}
    result: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.size,
    }
    if manifest.annotations:
        result["annotations"] = manifest.annotations
    return result | {"platform": {key: value for key, value in platform.items() if value}}


@dataclass(frozen=True, slots=True)
class _EtcPaths:
    """Where a container's three files in /etc are: they come into being with its first start."""

    hosts: str = ""
    hostname: str = ""
    resolv_conf: str = ""

    @classmethod
    def of(cls, container: Container, home: str) -> "_EtcPaths":
        if not _has_been_started(container):
            return _NO_ETC
        mode = container.host_config.network_mode
        if mode.startswith("container:"):
            peer = mode.removeprefix("container:")
            home = str(PurePosixPath(home).with_name(peer))
        return cls(f"{home}/hosts", f"{home}/hostname", f"{home}/resolv.conf")


_NO_ETC = _EtcPaths()


def _has_been_started(container: Container) -> bool:
    """A start that failed counts: the files are there since."""
    return container.started_once or bool(container.state.started_at or container.state.error)


def _logs_to_file(container: Container) -> bool:
    if not _has_been_started(container):
        return False
    return container.host_config.log_config.type in ("json-file", "")


def _encode_state(state: State) -> dict[str, Any]:
    status = state.status
    result: dict[str, Any] = {
        "Status": status.value,
        "Running": state.running,
        "Paused": status is Status.PAUSED,
        "Restarting": status is Status.RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": state.dead,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": times.rfc3339(state.started_at),
        "FinishedAt": times.rfc3339(state.finished_at),
    }
    if state.health is not None:
        result["Health"] = _encode_health(state.health)
    return result


def _encode_health(health: Health) -> dict[str, Any]:
    return {
        "Status": health.status,
        "FailingStreak": health.failing_streak,
        "Log": [
            {
                "Start": times.rfc3339(r.start),
                "End": times.rfc3339(r.end),
                "ExitCode": r.exit_code,
                "Output": r.output,
            }
            for r in health.log
        ],
    }


def _apparmor_profile(host_config: HostConfig) -> str:
    for option in host_config.security_opt or ():
        if option.startswith(("apparmor=", "apparmor:")):
            return option[len("apparmor=") :]
    return ""


def _encode_host_config(container: Container) -> dict[str, Any]:
    """Legacy links are shown with both containers' names."""
    result = encode(container.host_config)
    if container.host_config.links:
        links = (link.partition(":") for link in container.host_config.links)
        result["Links"] = [f"/{target}:/{container.name}/{alias}" for target, _, alias in links]
    return result


def _encode_config(container: Container) -> dict[str, Any]:
    """API 1.44 to 1.51 still show the address asked for at the main network as the container's own."""
    networks, mode = container.networks, container.host_config.network_mode
    main = networks.get(mode) or (next(iter(networks.values())) if len(networks) == 1 else None)
    if main is None or not main.requested_mac:
        return encode(container.config)
    return encode(msgspec.structs.replace(container.config, mac_address=main.requested_mac))


def _encode_mount(mount: MountPoint) -> dict[str, Any]:
    result: dict[str, Any] = {"Type": mount.type}
    if mount.name:
        result["Name"] = mount.name
    result["Source"] = mount.source
    result["Destination"] = mount.destination
    if mount.driver:
        result["Driver"] = mount.driver
    result["Mode"] = mount.mode
    result["RW"] = mount.rw
    result["Propagation"] = mount.propagation
    return result


@dataclass(frozen=True, slots=True)
class SummaryExtras:
    """What a line in a list needs beyond the container; `sizes` as in InspectExtras, `aliases` are names by links."""

    images: ImageNames
    sizes: tuple[int, int] | None = None
    aliases: Sequence[str] = ()


def encode_summary(container: Container, version: tuple[int, int], extras: SummaryExtras) -> dict[str, Any]:
    """Return the line of a container in a list."""
    host_config = container.host_config
    result: dict[str, Any] = {
        "Id": container.id,
        "Names": sorted(f"/{name}" for name in (container.name, *extras.aliases)),
        "Image": _shown_image(container, extras.images),
        "ImageID": container.image,
    }
    if container.manifest is not None and version >= (1, 48):
        result["ImageManifestDescriptor"] = _encode_manifest(container.manifest)
    result["Command"] = _command(container)
    result["Created"] = container.created_at // _SECOND
    result["Ports"] = encode_ports(container.sandbox.ports)
    rw, root = extras.sizes or (0, 0)
    if rw:
        result["SizeRw"] = rw
    if root:
        result["SizeRootFs"] = root
    result["Labels"] = container.config.labels or {}
    result["State"] = container.state.status.value
    result["Status"] = describe(container.state)
    result["HostConfig"] = {"NetworkMode": host_config.network_mode}
    if host_config.annotations and version >= (1, 46):
        result["HostConfig"]["Annotations"] = host_config.annotations
    result["NetworkSettings"] = {"Networks": encode_listed_endpoints(container)}
    result["Mounts"] = [_encode_listed_mount(m) for m in container.mounts]
    return result


def _encode_listed_mount(mount: MountPoint) -> dict[str, Any]:
    """A list does not tell where the volumes are that the image asked for."""
    result = _encode_mount(mount)
    if mount.anonymous and mount.spec is None:
        result["Source"] = ""
    return result


def _shown_image(container: Container, images: ImageNames) -> str:
    """The name that the client gave, as long as it still means the same image."""
    name = container.config.image
    return name if name == container.image or images.id_of(name) == container.image else container.image


def _command(container: Container) -> str:
    arguments = (f"'{a}'" if " " in a else a for a in container.args)
    return " ".join((container.path, *arguments))


def describe(state: State) -> str:
    """Return the Status column of `docker ps`: `Up 5 minutes (Paused)`."""
    status = state.status
    if status is Status.RESTARTING:
        return f"Restarting ({state.exit_code}) {_since(state.finished_at)} ago"
    if state.running:
        remark = _remark(state)
        return f"Up {_since(state.started_at)}{remark}"
    if status is Status.REMOVING:
        return "Removal In Progress"
    if state.dead:
        return "Dead"
    if not state.started_at:
        return "Created"
    return f"Exited ({state.exit_code}) {_since(state.finished_at)} ago" if state.finished_at else ""


def _since(instant: int) -> str:
    return human_duration((times.now() - instant) / _SECOND)


def _remark(state: State) -> str:
    if state.status is Status.PAUSED:
        return " (Paused)"
    if state.health is None:
        return ""
    return " (health: starting)" if state.health.status == "starting" else f" ({state.health.status})"


class _Processes(Protocol):
    @property
    def titles(self) -> list[str]: ...

    @property
    def rows(self) -> list[list[str]]: ...


def encode_top(processes: _Processes) -> dict[str, Any]:
    """Return what ps says."""
    return {"Processes": processes.rows, "Titles": processes.titles}


def _detach_keys(text: str) -> str:
    """Go shows bytes in Base64."""
    return base64.b64encode(parse_detach_keys(text)).decode() if text else ""


def encode_exec(instance: Exec) -> dict[str, Any]:
    """Return an exec instance."""
    config = instance.config
    command = config.cmd or [""]
    process: dict[str, Any] = {
        "tty": config.tty,
        "entrypoint": command[0],
        "arguments": command[1:],
        "privileged": config.privileged,
    }
    if config.user:
        process["user"] = config.user
    return {
        "ID": instance.id,
        "Running": instance.running,
        "ExitCode": instance.exit_code,
        "ProcessConfig": process,
        "OpenStdin": config.attach_stdin,
        "OpenStderr": config.attach_stderr,
        "OpenStdout": config.attach_stdout,
        "CanRemove": False,
        "ContainerID": instance.container_id,
        "DetachKeys": _detach_keys(config.detach_keys),
        "Pid": instance.pid,
    }
