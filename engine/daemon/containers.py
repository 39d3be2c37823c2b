"""Builds the container part of the domain: the table, what runs containers, and what clients ask of them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config.settings import Config
from engine.core.model.container import LogConfig, Ulimit
from engine.daemon.drivers import Drivers
from engine.daemon.resources import Resources
from engine.domain.containers.announce import Announcer
from engine.domain.containers.archive import Archive
from engine.domain.containers.checkpoints import Checkpoints
from engine.domain.containers.commit import CommitParts, ContainerCommitter
from engine.domain.containers.create import Creator, Surroundings
from engine.domain.containers.device_requests import DeviceDrivers
from engine.domain.containers.erase import Belongings, Eraser
from engine.domain.containers.exec import Execs
from engine.domain.containers.exec_process import ExecProcess
from engine.domain.containers.export import Exporter
from engine.domain.containers.health import HealthMonitor
from engine.domain.containers.host import Host, HostSettings, gather_facts
from engine.domain.containers.image_mounts import ImageMounts, MountSources
from engine.domain.containers.limits import Limits
from engine.domain.containers.log_drivers.drivers import require_valid_defaults
from engine.domain.containers.log_files import LogDrivers, LogFiles
from engine.domain.containers.merge import Defaults
from engine.domain.containers.new_tree import NewTrees
from engine.domain.containers.oom import OomMonitor
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.remap import Remap
from engine.domain.containers.remove import Remover
from engine.domain.containers.resize import Resizer
from engine.domain.containers.restore import Holdings, Restorer
from engine.domain.containers.revive import Reviver
from engine.domain.containers.rootfs import RootfsPreparer
from engine.domain.containers.runner import Machinery, Runner
from engine.domain.containers.sandbox import ResolverDefaults, SandboxPreparer
from engine.domain.containers.sizes import Sizer
from engine.domain.containers.spec.security import masked_paths
from engine.domain.containers.stats import StatsReader
from engine.domain.containers.stop import Stopper
from engine.domain.containers.streams import Streams
from engine.domain.containers.supervisor import Supervisor
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.top import Top
from engine.domain.containers.update import Updater
from engine.domain.containers.views import Views
from engine.domain.containers.wait import Waits
from engine.domain.images.commit import Committer
from engine.drivers.cgroups.abilities import Abilities

_THERMAL = "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle"


@dataclass(frozen=True, slots=True)
class Containers:
    """The parts that handlers and the daemon's life use."""

    table: ContainerTable
    host: Host
    defaults: Defaults
    waits: Waits
    supervisor: Supervisor
    creator: Creator
    stopper: Stopper
    remover: Remover
    runner: Runner
    streams: Streams
    logs: LogFiles
    execs: Execs
    sizer: Sizer
    top: Top
    resizer: Resizer
    restorer: Restorer
    paths: ContainerPaths
    stats: StatsReader
    views: Views
    archive: Archive
    exporter: Exporter
    committer: ContainerCommitter
    updater: Updater
    checkpoints: Checkpoints
    watchers: tuple[HealthMonitor, OomMonitor, Reviver]


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every piece of the container part stands on."""

    config: Config
    drivers: Drivers
    resources: Resources
    abilities: Abilities
    table: ContainerTable
    paths: ContainerPaths
    announcer: Announcer
    waits: Waits
    sources: MountSources


def default_log_config(config: Config) -> LogConfig:
    """Return the log driver of containers that name none."""
    return LogConfig(type=config.log_driver, config=config.log_opts)


def build_containers(config: Config, drivers: Drivers, resources: Resources, abilities: Abilities) -> Containers:
    """Build the container part and read its records. Blocks; used at start-up only. Raises InvalidLogOption."""
    require_valid_defaults(default_log_config(config))
    paths = ContainerPaths(config.data_root, config.exec_root)
    table = ContainerTable(drivers.store)
    table.load()
    sources = MountSources(resources.volumes, ImageMounts(resources.images, drivers.overlay))
    announcer, waits = Announcer(resources.bus), Waits()
    ground = _Ground(config, drivers, resources, abilities, table, paths, announcer, waits, sources)
    host = _host(ground)
    logs = LogFiles(paths, LogDrivers(drivers.rotator, drivers.forwarders, resources.log_drivers), ground.waits)
    streams = Streams(table, paths, ground.announcer, drivers.spool)
    runner = _runner(ground, host, logs, streams)
    belongings = Belongings(drivers.overlay, resources.images, resources.volumes, paths, logs)
    eraser = Eraser(table, belongings, ground.waits, ground.announcer)
    supervisor = Supervisor(table, runner, eraser, ground.waits, ground.announcer)
    stopper = Stopper(table, runner, supervisor, ground.waits, ground.announcer)
    execs = Execs(
        table, ExecProcess(host, drivers.runtimes, drivers.confine, drivers.cgroups), drivers.conmon, ground.announcer
    )
    limits = _limits(abilities, drivers, seccomp=host.facts.seccomp)
    views = Views(table, drivers.overlay, sources, paths, ground.announcer)
    holdings = Holdings(resources.images, resources.networks, resources.volumes)
    return Containers(
        table=table,
        host=host,
        defaults=_defaults(config, drivers, host.facts.hostname),
        waits=ground.waits,
        supervisor=supervisor,
        creator=_creator(ground, belongings, host, limits),
        stopper=stopper,
        remover=Remover(table, stopper, supervisor, eraser, ground.announcer),
        runner=runner,
        streams=streams,
        logs=logs,
        execs=execs,
        sizer=Sizer(drivers.overlay, drivers.layers, drivers.confine),
        top=Top(table, drivers.cgroups, ground.announcer),
        resizer=Resizer(table, paths, ground.announcer),
        restorer=Restorer(table, holdings, runner, supervisor, eraser, drivers.conmon),
        paths=paths,
        stats=StatsReader(table, drivers.cgroups),
        views=views,
        archive=Archive(table, views, drivers.confine, ground.announcer),
        exporter=Exporter(table, views, drivers.confine, drivers.overlay, ground.announcer),
        committer=_committer(ground, stopper),
        updater=Updater(table, runner, resources.networks, limits, ground.announcer),
        checkpoints=Checkpoints(table, runner, paths, ground.announcer, experimental=config.experimental),
        watchers=_watchers(ground, execs, stopper),
    )


def _runner(ground: _Ground, host: Host, logs: LogFiles, streams: Streams) -> Runner:
    config, drivers, resources = ground.config, ground.drivers, ground.resources
    machinery = Machinery(drivers.conmon, drivers.runtimes, drivers.cgroups, ground.paths, host, logs)
    remap = Remap(drivers.mapped)
    rootfs = RootfsPreparer(drivers.overlay, drivers.confine, ground.sources, ground.announcer, ground.paths, remap)
    resolver = ResolverDefaults(config.dns, config.dns_search, config.dns_opts)
    sandbox = SandboxPreparer(ground.table, resources.networks, ground.paths, resolver, remap)
    return Runner(machinery, rootfs, sandbox, streams)


def _committer(ground: _Ground, stopper: Stopper) -> ContainerCommitter:
    drivers, resources = ground.drivers, ground.resources
    images = Committer(resources.stores, resources.image_events)
    parts = CommitParts(stopper, images, drivers.overlay, drivers.confine, ground.announcer)
    return ContainerCommitter(ground.table, parts)


def _watchers(ground: _Ground, execs: Execs, stopper: Stopper) -> tuple[HealthMonitor, OomMonitor, Reviver]:
    """Return what listens to the events of containers, in the order in which it is to begin."""
    table, bus, announcer = ground.table, ground.resources.bus, ground.announcer
    return (
        HealthMonitor(table, execs, bus, announcer),
        OomMonitor(table, ground.drivers.cgroups, bus, announcer),
        Reviver(table, stopper, bus),
    )


def _host(ground: _Ground) -> Host:
    """Blocks: looks at the host."""
    config, cgroups = ground.config, ground.drivers.cgroups
    device_drivers = DeviceDrivers(ground.drivers.cdi, cdi=config.features.get("cdi", True))
    facts = gather_facts(cgroups)
    return Host(
        facts, _host_settings(config, Remap(ground.drivers.mapped)), cgroups, ground.table, ground.paths, device_drivers
    )


def _creator(ground: _Ground, belongings: Belongings, host: Host, limits: Limits) -> Creator:
    drivers, resources = ground.drivers, ground.resources
    around = Surroundings(
        paths=ground.paths,
        defaults=_defaults(ground.config, drivers, host.facts.hostname),
        limits=limits,
        announcer=ground.announcer,
        require_log_plugin=resources.log_drivers.require,
        find_network=resources.networks.find,
    )
    trees = NewTrees(drivers.overlay, drivers.confine)
    return Creator(ground.table, resources.images, ground.sources, trees, belongings, around)


def _host_settings(config: Config, remap: Remap) -> HostSettings:
    """Blocks: reads the daemon's seccomp profile."""
    profile = config.seccomp_profile
    if profile not in ("", "builtin", "unconfined"):
        profile = Path(profile).read_text()
    profile = "" if profile == "builtin" else profile
    return HostSettings(config.init, config.init_path, _ulimits(config), profile, remap)


def _ulimits(config: Config) -> Sequence[Ulimit]:
    return tuple(Ulimit(name=name, hard=u.hard, soft=u.soft) for name, u in config.default_ulimits.items())


def _defaults(config: Config, drivers: Drivers, hostname: str) -> Defaults:
    return Defaults(
        cgroup_v2=drivers.cgroups.v2,
        runtime=drivers.runtimes.default,
        log_driver=config.log_driver,
        log_options=config.log_opts,
        shm_size=config.default_shm_size,
        ipc_mode=config.default_ipc_mode,
        cgroupns_mode=config.default_cgroupns_mode,
        hostname=hostname,
        masked_paths=masked_paths(f"/{path}" for path in sorted(str(p) for p in Path("/").glob(_THERMAL))),
    )


def _limits(abilities: Abilities, drivers: Drivers, *, seccomp: bool) -> Limits:
    return Limits(
        cgroup_v2=drivers.cgroups.v2,
        cpu_count=len(os.sched_getaffinity(0)),
        cpus=abilities.cpus,
        memory_nodes=abilities.memory_nodes,
        memory=abilities.memory,
        swap=abilities.swap,
        memory_reservation=abilities.memory_reservation,
        swappiness=abilities.swappiness,
        oom_kill_disable=abilities.oom_kill_disable,
        kernel_memory_tcp=abilities.kernel_memory_tcp,
        cpu_shares=abilities.cpu_shares,
        cpu_cfs=abilities.cpu_cfs,
        cpu_realtime=abilities.cpu_realtime,
        cpuset=abilities.cpuset,
        pids=abilities.pids,
        blkio_weight=abilities.blkio_weight,
        blkio_weight_device=abilities.blkio_weight_device,
        blkio_throttle=abilities.blkio_throttle,
        cgroup_namespaces=abilities.cgroup_namespaces,
        systemd_cgroups=drivers.cgroups.driver == "systemd",
        seccomp=seccomp,
        userns_remapped=drivers.mapped is not None,
        runtimes=[runtime.name for runtime in drivers.runtimes.all()],
    )
