"""`docker info` and `docker version`: what this daemon is, on which host, with how much in it.

Fixed facts are gathered once, at start; counts are those of the moment.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import engine
from engine.core import times
from engine.core.model.container import Status
from engine.core.model.product import DOCKER_VERSION, WHARF_VERSION
from engine.domain.containers.log_drivers.drivers import DRIVERS as LOG_DRIVERS
from engine.domain.containers.table import ContainerTable
from engine.domain.events.bus import EventBus
from engine.domain.system import host
from engine.domain.system.runtimes import RuntimeInfo, describe_all
from engine.drivers.cgroups.abilities import Abilities
from engine.drivers.runtime.oci import Runtimes


@dataclass(frozen=True, slots=True)
class RegistryInfo:
    """How registries are reached: networks and hosts that need no valid certificate, mirrors of docker.io."""

    insecure: Sequence[str] = ()
    mirrors: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ProxyInfo:
    """The proxies in effect; passwords are hidden by the wire."""

    http: str = ""
    https: str = ""
    no_proxy: str = ""


@dataclass(frozen=True, slots=True)
class InfoSettings:
    """What the daemon was told, as far as `/info` shows it. `address_pools`: (base, prefix length), where configured.

    `firewall`: `iptables` or `nftables`. `warnings` come before those that the host gives rise to.
    """

    root: Path
    engine_id: str = ""
    logging_driver: str = "json-file"
    labels: Sequence[str] = ()
    debug: bool = False
    experimental: bool = False
    live_restore: bool = True
    registry: RegistryInfo = RegistryInfo()
    proxies: ProxyInfo = ProxyInfo()
    address_pools: Sequence[tuple[str, int]] = ()
    firewall: str = ""
    cgroup_driver: str = "cgroupfs"
    cgroup_v2: bool = False
    cdi_spec_dirs: Sequence[str] = ()
    security_options: Sequence[str] = ("name=seccomp,profile=builtin",)
    network_drivers: Sequence[str] = ("bridge", "host", "ipvlan", "macvlan", "null")
    log_drivers: Sequence[str] = LOG_DRIVERS
    init_version: str = ""
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """What there is at the moment."""

    running: int
    paused: int
    stopped: int
    images: int
    listeners: int
    descriptors: int
    tasks: int


@dataclass(frozen=True, slots=True)
class PluginNames:
    """The plugins in use, by what they are used for."""

    volume: Sequence[str] = ("local",)
    network: Sequence[str] = ()
    authorization: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """What other parts of the daemon tell at the moment; `devices`, the names of CDI's, reads files."""

    count_images: Callable[[], int]
    plugins: Callable[[], PluginNames]
    devices: Callable[[], Sequence[str]] = tuple


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the installation and its version; `details` are for people."""

    name: str
    version: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Info:
    """All that `/info` shows."""

    settings: InfoSettings
    machine: host.Machine
    abilities: Abilities
    counts: Counts
    runtimes: Sequence[RuntimeInfo]
    default_runtime: str
    ipv4_forwarding: bool
    warnings: Sequence[str]
    host_name: str
    time: int
    plugins: PluginNames = PluginNames()
    devices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """All that `/version` shows; `built_at` in nanoseconds since the epoch."""

    machine: host.Machine
    experimental: bool
    built_at: int
    components: Sequence[Component]


class System:
    """Answers what the daemon is."""

    def __init__(
        self,
        settings: InfoSettings,
        abilities: Abilities,
        runtimes: Runtimes,
        table: ContainerTable,
        bus: EventBus,
        sources: Sources,
    ) -> None:
        """Look at the host. Blocks; used at start-up only."""
        self._settings = settings
        self._abilities = abilities
        self._runtimes = runtimes
        self._table = table
        self._bus = bus
        self._sources = sources
        self._machine = host.look_at_machine()
        self._built_at = host.built_at(Path(engine.__file__))
        self._described: Sequence[RuntimeInfo] = ()

    @property
    def engine_id(self) -> str:
        """The daemon's own identifier."""
        return self._settings.engine_id

    def change(self, settings: InfoSettings) -> None:
        """Show other settings from now on."""
        self._settings = settings

    async def info(self) -> Info:
        """Return the facts and the counts of the moment."""
        if not self._described:
            self._described = await describe_all(self._runtimes)
        forwarding, descriptors = await asyncio.to_thread(_look)
        return Info(
            settings=self._settings,
            machine=self._machine,
            abilities=self._abilities,
            counts=self._counts(descriptors),
            runtimes=self._described,
            default_runtime=self._runtimes.default,
            ipv4_forwarding=forwarding,
            warnings=[*self._settings.warnings, *_warnings(self._abilities, forwarding=forwarding)],
            host_name=os.uname().nodename,
            time=times.now(),
            plugins=self._sources.plugins(),
            devices=await asyncio.to_thread(self._sources.devices),
        )

    def _counts(self, descriptors: int) -> Counts:
        states = [c.state.status for c in self._table.all()]
        running = sum(s in (Status.RUNNING, Status.RESTARTING) for s in states)
        paused = states.count(Status.PAUSED)
        return Counts(
            running=running,
            paused=paused,
            stopped=len(states) - running - paused,
            images=self._sources.count_images(),
            listeners=self._bus.subscribers,
            descriptors=descriptors,
            tasks=len(asyncio.all_tasks()),
        )

    async def version(self) -> VersionInfo:
        """Return the versions of the daemon and of what it runs containers with."""
        if not self._described:
            self._described = await describe_all(self._runtimes)
        runtimes = [Component(r.name, r.version, {"GitCommit": r.commit}) for r in self._described if r.version]
        components = [
            Component("Engine", DOCKER_VERSION),
            Component("Wharf", WHARF_VERSION, {"GitCommit": ""}),
            *runtimes,
        ]
        return VersionInfo(self._machine, self._settings.experimental, self._built_at, components)


def _look() -> tuple[bool, int]:
    """Blocks (procfs)."""
    return host.set_to_one("net/ipv4/ip_forward"), host.open_descriptors()


def _warnings(abilities: Abilities, *, forwarding: bool) -> list[str]:
    """Return dockerd's warnings about what this host cannot limit."""
    found = [
        (abilities.memory, "WARNING: No memory limit support"),
        (abilities.swap, "WARNING: No swap limit support"),
        (abilities.cpu_cfs, "WARNING: No cpu cfs quota support"),
        (abilities.cpu_cfs, "WARNING: No cpu cfs period support"),
        (abilities.cpu_shares, "WARNING: No cpu shares support"),
        (abilities.cpuset, "WARNING: No cpuset support"),
        (forwarding, "WARNING: IPv4 forwarding is disabled"),
    ]
    return [text for fine, text in found if not fine]
