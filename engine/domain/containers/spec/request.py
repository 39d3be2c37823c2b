"""What an OCI runtime configuration is made from: the container, and everything that was looked up for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.core.model.cdi import ContainerEdits
from engine.core.model.container import Container, MountPoint, Ulimit
from engine.core.model.device import HostDevice
from engine.core.model.id_mapping import IdMapping
from engine.domain.containers.users import ResolvedUser


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What this host can do; the same for all containers.

    `capabilities` is the daemon's own bounding set; `apparmor_profile` is empty where the kernel has no AppArmor;
    `kernel` is (major, minor); `devices` are the nodes that privileged containers get.
    """

    cgroup_v2: bool = False
    capabilities: Sequence[str] = ()
    machine: str = "x86_64"
    kernel: tuple[int, int] = (6, 1)
    seccomp: bool = True
    apparmor_profile: str = ""
    recursive_readonly: bool = True
    hostname: str = "localhost"
    devices: Sequence[HostDevice] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """Paths of namespaces that exist already; empty where the container gets one of its own or the host's.

    `network` None: the host's network.
    """

    network: str | None = ""
    ipc: str = ""
    pid: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class EtcPaths:
    """Paths on the host of what the container sees in /etc; empty: the image's own."""

    hosts: str = ""
    hostname: str = ""
    resolv_conf: str = ""


@dataclass(frozen=True, slots=True)
class SpecRequest:
    """One container to be started.

    `mounts` have their sources resolved to paths on the host; `shm` is a directory to show as /dev/shm (ipc modes
    shareable and container; empty: a private tmpfs); `cgroup` is the cgroups path as the runtime takes it; `devices`
    maps each path in `wanted_devices` to the nodes found there; `init` is the path of the init program where asked for;
    `hostname` overrides the container's own; `seccomp_profile` is a daemon-wide profile in JSON, or empty;
    `restrictions` are the options of the file systems that mounts come from (`ro`, `nosuid`, …), by the mount's source;
    `link_environment` tells of the containers that `--link` names; `edits` are what devices change in the result;
    `mapping` are the ids of a user namespace of the container's own.
    """

    container: Container
    rootfs: str
    user: ResolvedUser
    host: HostFacts
    mounts: Sequence[MountPoint] = ()
    etc: EtcPaths = EtcPaths()
    shm: str = ""
    joined: Joined = Joined()
    cgroup: str = ""
    devices: Mapping[str, Sequence[HostDevice]] = field(default_factory=dict)
    init: str = ""
    hostname: str = ""
    default_ulimits: Sequence[Ulimit] = ()
    seccomp_profile: str = ""
    link_environment: Sequence[str] = ()
    restrictions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    edits: Sequence[ContainerEdits] = ()
    mapping: IdMapping | None = None
