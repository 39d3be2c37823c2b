"""What a container's configuration becomes: the client's wishes, completed by the image's and the daemon's. Pure.

Source of the rules: dockerd 28.5's answers, recorded in `engine/tests/domain/containers/test_merge.py`.
"""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from engine.core.errors import InvalidParameter
from engine.core.model.container import ContainerConfig, Healthcheck, HostConfig, LogConfig, RestartPolicy
from engine.domain.containers.log_drivers.files import CACHE_OPTIONS
from engine.domain.containers.spec.security import READONLY_PATHS, masked_paths

V = TypeVar("V")
_DEFAULT_NETWORK = "bridge"


class NoCommand(InvalidParameter):
    """Neither image nor client say what to run."""

    def __init__(self) -> None:
        super().__init__("no command specified")


class RelativeWorkingDirectory(InvalidParameter):
    """The working directory is not absolute."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the working directory '{path}' is invalid, it needs to be an absolute path")


@dataclass(frozen=True, slots=True)
class Defaults:
    """The daemon's settings that fill in for what a client leaves open.

    `cgroupns_mode` empty: private on cgroup v2, host on v1. `hostname` is the host's own, for containers on its
    network.
    """

    cgroup_v2: bool = False
    runtime: str = "runc"
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict)
    shm_size: int = 64 << 20
    ipc_mode: str = "private"
    cgroupns_mode: str = ""
    hostname: str = "localhost"
    masked_paths: Sequence[str] = field(default_factory=masked_paths)
    readonly_paths: Sequence[str] = READONLY_PATHS


def merge_config(
    config: ContainerConfig, image: ContainerConfig, host_config: HostConfig, hostname: str
) -> ContainerConfig:
    """Return the client's configuration with the image's where the client is silent. Raises NoCommand.

    `hostname` is the name of a container that was not given one.
    """
    del host_config
    entrypoint, cmd, args_escaped = _command(config, image)
    return msgspec.structs.replace(
        config,
        hostname=config.hostname or hostname,
        user=config.user or image.user,
        exposed_ports=_united(config.exposed_ports, image.exposed_ports),
        env=_environment(config.env, image.env),
        labels={**(image.labels or {}), **(config.labels or {})},
        entrypoint=entrypoint,
        cmd=cmd,
        args_escaped=args_escaped,
        healthcheck=_healthcheck(config.healthcheck, image.healthcheck),
        working_dir=clean_working_directory(config.working_dir) or image.working_dir,
        volumes=_united(config.volumes, image.volumes),
        stop_signal=config.stop_signal or image.stop_signal,
    )


def clean_working_directory(path: str) -> str:
    """Return the path without `..` and the like; empty stays. Raises RelativeWorkingDirectory."""
    if not path:
        return ""
    if not path.startswith("/"):
        raise RelativeWorkingDirectory(path)
    return posixpath.normpath("/" + path.lstrip("/"))


def _united(own: dict[str, V] | None, image: dict[str, V] | None) -> dict[str, V] | None:
    return {**own, **(image or {})} if own else image


def _environment(own: list[str] | None, image: list[str] | None) -> list[str] | None:
    if not own:
        return image
    names = {entry.partition("=")[0] for entry in own}
    return [*own, *(entry for entry in image or () if entry.partition("=")[0] not in names)]


def _command(config: ContainerConfig, image: ContainerConfig) -> tuple[list[str] | None, list[str] | None, bool]:
    """An entrypoint of the client's own hides the image's command; `[""]` clears the image's entrypoint, too."""
    entrypoint, cmd, escaped = config.entrypoint, config.cmd, config.args_escaped
    if not entrypoint:
        if not cmd:
            cmd, escaped = image.cmd, escaped or image.args_escaped
        if entrypoint is None:
            entrypoint = image.entrypoint
    if entrypoint == [""]:
        entrypoint = None
    if not entrypoint and not cmd:
        raise NoCommand
    return entrypoint, cmd, escaped


def _healthcheck(own: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    if own is None or image is None:
        return own or image
    fields = ("test", "interval", "timeout", "start_period", "start_interval", "retries")
    missing = {name: getattr(image, name) for name in fields if not getattr(own, name)}
    return msgspec.structs.replace(own, **missing)


def path_and_args(config: ContainerConfig) -> tuple[str, list[str]]:
    """Return the program and its arguments: the entrypoint, then the command."""
    command = [*(config.entrypoint or ()), *(config.cmd or ())]
    return (command[0], command[1:]) if command else ("", [])


def merge_host_config(host_config: HostConfig, defaults: Defaults) -> HostConfig:
    """Return the host configuration with the daemon's defaults, as inspect shows it from then on."""
    changes = {
        "network_mode": _DEFAULT_NETWORK if host_config.network_mode in ("", "default") else host_config.network_mode,
        "restart_policy": host_config.restart_policy if host_config.restart_policy.name else RestartPolicy(name="no"),
        "log_config": _log_config(host_config.log_config, defaults),
        "runtime": host_config.runtime or defaults.runtime,
        "shm_size": host_config.shm_size or defaults.shm_size,
        "ipc_mode": host_config.ipc_mode or defaults.ipc_mode,
        "cgroupns_mode": host_config.cgroupns_mode or _cgroupns_mode(host_config, defaults),
        "security_opt": _security_options(host_config),
        "memory_swap": _memory_swap(host_config),
        "memory_swappiness": None if host_config.memory_swappiness == -1 else host_config.memory_swappiness,
        "oom_kill_disable": None if defaults.cgroup_v2 else bool(host_config.oom_kill_disable),
    }
    return msgspec.structs.replace(host_config, **changes, **_hidden_paths(host_config, defaults))


def _log_config(own: LogConfig, defaults: Defaults) -> LogConfig:
    driver = own.type or defaults.log_driver
    own_kind = driver == defaults.log_driver
    inherited = {k: v for k, v in defaults.log_options.items() if own_kind or k in CACHE_OPTIONS}
    return LogConfig(type=driver, config={**inherited, **(own.config or {})})


def _cgroupns_mode(host_config: HostConfig, defaults: Defaults) -> str:
    """On cgroup v1 a privileged container sees the host's hierarchy whatever the daemon's default says."""
    if host_config.privileged and not defaults.cgroup_v2:
        return "host"
    return defaults.cgroupns_mode or ("private" if defaults.cgroup_v2 else "host")


def _security_options(host_config: HostConfig) -> list[str] | None:
    own = host_config.security_opt
    if any(option.partition("=")[0] == "label" for option in own or ()):
        return own
    if host_config.privileged or "host" in (host_config.ipc_mode, host_config.pid_mode):
        return [*(own or ()), "label=disable"]
    return own


def _memory_swap(host_config: HostConfig) -> int:
    """Memory and swap together are twice the memory, unless said otherwise."""
    if host_config.memory > 0 and host_config.memory_swap == 0:
        return host_config.memory * 2
    return host_config.memory_swap


def _hidden_paths(host_config: HostConfig, defaults: Defaults) -> dict[str, list[str] | None]:
    result: dict[str, list[str] | None] = {}
    for name, standard in (("masked_paths", defaults.masked_paths), ("readonly_paths", defaults.readonly_paths)):
        own: list[str] | None = getattr(host_config, name)
        result[name] = list(standard) if own is None and not host_config.privileged else own
    return result
