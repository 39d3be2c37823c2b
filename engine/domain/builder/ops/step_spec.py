"""A command as a container: the same configuration as `docker run` makes, from what the graph says."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.core import times
from engine.core.model.container import Container, ContainerConfig, HostConfig, MountPoint, Sandbox, Ulimit
from engine.domain.builder.llb.ops import ExecOp, Meta, NetMode
from engine.domain.builder.ops.step_networks import Namespaces
from engine.domain.containers import etc_files
from engine.domain.containers.host import Host
from engine.domain.containers.merge import Defaults, merge_host_config
from engine.domain.containers.rootfs import Rootfs
from engine.domain.containers.sandbox import EtcFiles, Prepared
from engine.domain.containers.spec.build import oci_spec
from engine.domain.containers.spec.request import EtcPaths
from engine.domain.containers.users import ResolvedUser

_FILES = ("/etc/hosts", "/etc/resolv.conf")
# As BuildKit mounts them: what a command writes there would be lost.
_FILE_OPTIONS = ["nosuid", "noexec", "nodev", "rbind", "ro"]
HOSTNAME = "buildkitsandbox"


@dataclass(frozen=True, slots=True)
class Step:
    """A command with everything that was made for it."""

    id: str
    operation: ExecOp
    root: Path
    user: ResolvedUser
    mounts: Sequence[MountPoint]
    namespaces: Namespaces
    hosts: Path
    resolv_conf: Path
    variables: Sequence[str] = ()
    readonly_root: bool = False


async def step_spec(host: Host, defaults: Defaults, step: Step, limits: HostConfig) -> dict[str, Any]:
    """Return the OCI configuration. Raises WharfError, OSError."""
    container = _container(step, defaults, limits)
    # BuildKit mounts no /etc/hostname.
    files = EtcFiles(step.hosts, Path(), step.resolv_conf)
    prepared = Prepared(step.namespaces.network, Sandbox(), {}, files)
    request = await host.spec_request(container, Rootfs(step.root, step.user, step.mounts), prepared)
    etc = EtcPaths(str(step.hosts), "", str(step.resolv_conf))
    joined = dataclasses.replace(request.joined, user=step.namespaces.user)
    spec = oci_spec(dataclasses.replace(request, etc=etc, joined=joined))
    for mount in spec["mounts"]:
        if mount["destination"] in _FILES:
            mount["options"] = _FILE_OPTIONS
    return spec


def _container(step: Step, defaults: Defaults, limits: HostConfig) -> Container:
    meta = step.operation.meta
    config = ContainerConfig(
        hostname=meta.hostname or HOSTNAME,
        env=_environment(meta, step.variables),
        working_dir=meta.cwd or "/",
    )
    return Container(
        id=step.id,
        name="",
        created_at=times.now(),
        image="",
        config=config,
        host_config=merge_host_config(_host_config(step, limits), defaults),
        path=meta.args[0] if meta.args else "",
        args=list(meta.args[1:]),
    )


def shared_with_host(operation: ExecOp, limits: HostConfig) -> HostConfig:
    """Return the limits, with what a command shares with the host. Pure."""
    host = operation.network is NetMode.HOST or (operation.network is NetMode.SANDBOX and limits.network_mode == "host")
    mode = "host" if host else "bridge" if operation.network is NetMode.SANDBOX else "none"
    return msgspec.structs.replace(limits, network_mode=mode, privileged=operation.insecure)


def _host_config(step: Step, limits: HostConfig) -> HostConfig:
    operation, meta = step.operation, step.operation.meta
    ulimits = [Ulimit(name=name, soft=soft, hard=hard) for name, soft, hard in meta.ulimits]
    return msgspec.structs.replace(
        shared_with_host(operation, limits),
        ulimits=ulimits or limits.ulimits,
        cgroup_parent=meta.cgroup_parent or limits.cgroup_parent,
        readonly_rootfs=step.readonly_root,
        extra_hosts=None,
    )


def _environment(meta: Meta, variables: Sequence[str]) -> list[str]:
    """A name without a value takes away what containers have and commands of builds do not."""
    found = [*meta.env, *variables, *_proxies(meta.proxy_env)]
    hidden = [] if any(entry.startswith("HOSTNAME=") for entry in found) else ["HOSTNAME"]
    return [*found, *hidden]


def _proxies(proxies: Mapping[str, str]) -> list[str]:
    names = [(name.lower(), value) for name, value in proxies.items() if value]
    return [f"{each}={value}" for name, value in names for each in (name.upper(), name)]


def hosts_text(meta: Meta, extra: Sequence[str], gateway: str) -> str:
    """Return what a command sees as /etc/hosts, in BuildKit's form. `extra` are entries of --add-host."""
    lines = [f"127.0.0.1\tlocalhost {meta.hostname or HOSTNAME}", "::1\tlocalhost ip6-localhost ip6-loopback"]
    lines += [f"{address}\t{name}" for name, address in meta.extra_hosts]
    lines += ["\t".join(etc_files.extra_host(entry, gateway)) for entry in extra]
    return "\n".join(lines) + "\n"
