"""What the host adds to a container's configuration: its abilities, its devices, namespaces of other containers.

Everything that the pure functions in `spec/` need looked up is looked up here. The facts are gathered once, at start.
"""

import asyncio
import contextlib
import dataclasses
import os
import shutil
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.core.errors import Internal, InvalidParameter
from engine.core.model.container import Container, Status, Ulimit
from engine.core.model.device import HostDevice
from engine.domain.containers import links, shm
from engine.domain.containers.device_requests import DeviceDrivers
from engine.domain.containers.failures import ContainerNotFound, NotRunning
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.peers import Peers
from engine.domain.containers.remap import NO_REMAP, Remap
from engine.domain.containers.rootfs import Rootfs
from engine.domain.containers.sandbox import Prepared
from engine.domain.containers.spec import capabilities
from engine.domain.containers.spec.limits import wanted_devices
from engine.domain.containers.spec.request import EtcPaths, HostFacts, Joined, SpecRequest
from engine.domain.containers.table import ContainerTable
from engine.drivers.cgroups.cgroups import Cgroups
from engine.drivers.linux import devices

_INIT_NAMES = ("docker-init", "tini-static", "tini")
_INIT_DIRECTORIES = "/usr/libexec/docker:/usr/local/libexec/docker:/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin"
_APPARMOR = Path("/sys/module/apparmor/parameters/enabled")
_APPARMOR_PROFILES = Path("/sys/kernel/security/apparmor/profiles")
_APPARMOR_DEFAULT = "docker-default"
_INTERPRETER_SEGMENT = 3


class NoInitProgram(Internal):
    """`--init` on a host without an init program that runs in any container."""

    def __init__(self) -> None:
        super().__init__(
            "no init program found for --init: install docker-init or a statically linked tini, or set --init-path"
        )


class DeviceUnavailable(Internal):
    """`--device` names a path that the host does not have."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f'error gathering device information while adding custom device "{path}": {reason}')


class LimitedDeviceUnavailable(Internal):
    """A limit of I/O names a path that the host does not have."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"stat {path}: {reason}")


class NamespaceUnavailable(InvalidParameter):
    """`--ipc` or `--pid` of a container that cannot be joined."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"failed to join {kind} namespace: {reason}")


class NotShareable(InvalidParameter):
    """`--ipc container:X` where X keeps its own to itself."""

    def __init__(self, container_id: str) -> None:
        super().__init__(
            f"container {container_id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
        )


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The daemon's `--init`, `--init-path`, `--default-ulimit`, and `--seccomp-profile` (its JSON, or empty)."""

    init: bool = False
    init_path: str = ""
    default_ulimits: Sequence[Ulimit] = ()
    seccomp_profile: str = ""
    remap: Remap = NO_REMAP


_RESTRICTIONS = ((os.ST_RDONLY, "ro"), (os.ST_NOSUID, "nosuid"), (os.ST_NODEV, "nodev"), (os.ST_NOEXEC, "noexec"))


def restrictions(sources: Iterable[str]) -> dict[str, list[str]]:
    """Return the mount options that hold for paths, of those that have any. Blocks; call in a thread."""
    found = {}
    for source in sources:
        with contextlib.suppress(OSError):
            flags = os.statvfs(source).f_flag
            if options := [option for flag, option in _RESTRICTIONS if flags & flag]:
                found[source] = options
    return found


class Host:
    """Gathers what a container's configuration needs from the host."""

    def __init__(
        self,
        facts: HostFacts,
        settings: HostSettings,
        cgroups: Cgroups,
        table: ContainerTable,
        paths: ContainerPaths,
        device_drivers: DeviceDrivers,
    ) -> None:
        self.facts = facts
        self._settings = settings
        self._cgroups = cgroups
        self._table = table
        self._peers = Peers(table)
        self._paths = paths
        self._device_drivers = device_drivers

    @property
    def default_ulimits(self) -> Sequence[Ulimit]:
        """The daemon's `--default-ulimit`."""
        return self._settings.default_ulimits

    async def spec_request(self, container: Container, rootfs: Rootfs, prepared: Prepared) -> SpecRequest:
        """Return everything that the container's OCI configuration is made from. Raises OSError, WharfError."""
        host_config = container.host_config
        files = [self._settings.remap.path(container, file) for file in _files(prepared)]
        return SpecRequest(
            container=container,
            rootfs=str(rootfs.path),
            user=rootfs.user,
            host=await self._facts(container),
            mounts=rootfs.mounts,
            etc=EtcPaths(*(str(file) for file in files)),
            shm=await self._shm(container),
            joined=self._joined(container, prepared.netns),
            cgroup=self._cgroups.runtime_path(container.id, host_config.cgroup_parent),
            devices=await self._devices(container),
            init=await self._init(container),
            hostname=self._hostname(host_config.network_mode),
            default_ulimits=self._settings.default_ulimits,
            seccomp_profile=self._settings.seccomp_profile,
            link_environment=self.link_environment(container),
            restrictions=await asyncio.to_thread(restrictions, [m.source for m in rootfs.mounts if m.type != "tmpfs"]),
            mapping=self._settings.remap.of(container),
            edits=await self._device_drivers.edits(host_config),
        )

    def remaps(self, container: Container) -> bool:
        """Tell whether the container gets a user namespace of its own."""
        return self._settings.remap.of(container) is not None

    def link_environment(self, container: Container) -> list[str]:
        """Return the variables that tell of the containers which `--link` names, of those that run now."""
        found = self._peers.still_linked(container)
        return [variable for link in found for variable in links.environment(container, link)]

    async def _facts(self, container: Container) -> HostFacts:
        """A privileged container gets the devices that are there now, not those of the daemon's start."""
        if not container.host_config.privileged:
            return self.facts
        return dataclasses.replace(self.facts, devices=await asyncio.to_thread(devices.every_device))

    async def _devices(self, container: Container) -> Mapping[str, Sequence[HostDevice]]:
        wanted = wanted_devices(container.host_config)
        mapped = {d.path_on_host for d in container.host_config.devices or ()}
        return await asyncio.to_thread(_look_up, wanted, mapped) if wanted else {}

    def _hostname(self, network_mode: str) -> str:
        """Who shares another container's network goes by its name; empty: the container's own."""
        if not network_mode.startswith("container:"):
            return ""
        return self._table.get(network_mode.removeprefix("container:")).config.hostname

    async def _init(self, container: Container) -> str:
        wanted = container.host_config.init
        if not (self._settings.init if wanted is None else wanted):
            return ""
        return await asyncio.to_thread(find_init, self._settings.init_path)

    async def _shm(self, container: Container) -> str:
        mode = container.host_config.ipc_mode
        if mode == "shareable":
            path = self._paths.shm(container.id)
            await asyncio.to_thread(shm.mount, path, container.host_config.shm_size)
            return str(path)
        if mode.startswith("container:"):
            return str(self._paths.shm(self._donor(mode).id))
        return ""

    def _joined(self, container: Container, netns: str | None) -> Joined:
        ipc, pid = container.host_config.ipc_mode, container.host_config.pid_mode
        return Joined(
            user=self._users_of_peer(container),
            network=netns,
            ipc=f"/proc/{self._donor(ipc).state.pid}/ns/ipc" if ipc.startswith("container:") else "",
            pid=f"/proc/{self._peer(pid, 'PID').state.pid}/ns/pid" if pid.startswith("container:") else "",
        )

    def _users_of_peer(self, container: Container) -> str:
        """Whose namespaces of another kind are shared, that container's user namespace is shared, too."""
        host_config = container.host_config
        for mode in (host_config.pid_mode, host_config.ipc_mode, host_config.network_mode):
            if mode.startswith("container:") and self._settings.remap.of(container) is not None:
                return f"/proc/{self._table.get(mode.removeprefix('container:')).state.pid}/ns/user"
        return ""

    def _donor(self, mode: str) -> Container:
        donor = self._peer(mode, "IPC")
        if donor.host_config.ipc_mode not in ("shareable", "host"):
            raise NamespaceUnavailable("IPC", str(NotShareable(donor.id)))
        return donor

    def _peer(self, mode: str, kind: str) -> Container:
        try:
            peer = self._table.get(mode.removeprefix("container:"))
        except ContainerNotFound as error:
            raise NamespaceUnavailable(kind, str(error)) from error
        if peer.state.status not in (Status.RUNNING, Status.PAUSED):
            raise NamespaceUnavailable(kind, str(NotRunning(peer.id)))
        return peer


def _files(prepared: Prepared) -> tuple[Path, Path, Path]:
    return prepared.files.hosts, prepared.files.hostname, prepared.files.resolv_conf


def _look_up(wanted: Sequence[str], mapped: Collection[str]) -> Mapping[str, list[HostDevice]]:
    """Blocks; call in a thread."""
    found: dict[str, list[HostDevice]] = {}
    for path in wanted:
        try:
            found[path] = devices.lookup(path)
        except OSError as error:
            failure = DeviceUnavailable if path in mapped else LimitedDeviceUnavailable
            raise failure(path, (error.strerror or str(error)).lower()) from error
    return found


def find_init(configured: str = "") -> str:
    """Return the path of an init program for `--init`. Raises NoInitProgram. Blocks; call in a thread."""
    if configured:
        return configured
    for name in _INIT_NAMES:
        path = shutil.which(name, path=_INIT_DIRECTORIES)
        if path and runs_anywhere(Path(path)):
            return path
    raise NoInitProgram


def runs_anywhere(program: Path) -> bool:
    """Tell whether an ELF program needs no loader, which a container may not have. Blocks; call in a thread."""
    with program.open("rb") as file:
        data = file.read(4096)
    if data[:5] != b"\x7fELF\x02":
        return False
    start, size, count = (int.from_bytes(data[i : i + n], "little") for i, n in ((32, 8), (54, 2), (56, 2)))
    kinds = [int.from_bytes(data[start + i * size :][:4], "little") for i in range(count)]
    return _INTERPRETER_SEGMENT not in kinds


def gather_facts(cgroups: Cgroups) -> HostFacts:
    """Look at the host. Blocks; call in a thread."""
    status = dict(_status_lines())
    kernel = _kernel(os.uname().release)
    return HostFacts(
        cgroup_v2=cgroups.v2,
        capabilities=capabilities.from_mask(int(status.get("CapBnd", "0"), 16)),
        machine=os.uname().machine,
        kernel=kernel,
        seccomp="Seccomp" in status,
        apparmor_profile=_apparmor_profile(),
        # mount_setattr(2) with AT_RECURSIVE.
        recursive_readonly=kernel >= (5, 12),
        hostname=socket.gethostname(),
    )


def _status_lines() -> list[tuple[str, str]]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


def _kernel(release: str) -> tuple[int, int]:
    numbers = release.replace("-", ".").split(".")
    return int(numbers[0]), int(numbers[1])


def _apparmor_profile(read: Callable[[Path], str] = Path.read_text) -> str:
    """Docker's profile, where the kernel has AppArmor and somebody has loaded the profile."""
    try:
        enabled = read(_APPARMOR).startswith("Y")
        loaded = f"{_APPARMOR_DEFAULT} (" in read(_APPARMOR_PROFILES)
    except OSError:
        return ""
    return _APPARMOR_DEFAULT if enabled and loaded else ""
