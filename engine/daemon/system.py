"""Builds the system part: what the daemon says of itself."""

import os
from pathlib import Path

from engine.api.app import Handlers
from engine.api.handlers.events import EventHandlers
from engine.api.handlers.system import SystemHandlers
from engine.api.transport.headers import COMMON, declare_experimental, ping_headers
from engine.api.transport.instant import InstantAnswers
from engine.config.settings import Config
from engine.daemon.containers import Containers
from engine.daemon.drivers import Drivers
from engine.daemon.resources import Resources
from engine.domain.builder.usage import CacheUsage
from engine.domain.images.selection import Lister
from engine.domain.images.sizes import Sizer
from engine.domain.plugins import network_drivers
from engine.domain.plugins.authorize import Authorizers
from engine.domain.system.disk_usage import DiskUsageMeter
from engine.domain.system.identity import engine_id
from engine.domain.system.info import InfoSettings, PluginNames, ProxyInfo, RegistryInfo, Sources, System
from engine.drivers.cgroups.abilities import Abilities

# Clients may build with BuildKit's API; the classic one is there for those that do not.
_BUILDER = "2"


def build_system(
    config: Config, drivers: Drivers, resources: Resources, containers: Containers, abilities: Abilities
) -> System:
    """Return what answers for the daemon as a whole. Blocks; used at start-up only."""
    if config.experimental:
        declare_experimental()
    catalog = resources.stores.catalog
    settings = info_settings(config, drivers)
    return System(
        settings,
        abilities,
        drivers.runtimes,
        containers.table,
        resources.bus,
        Sources(
            count_images=lambda: len(catalog.images()),
            plugins=lambda: _plugin_names(resources),
            devices=drivers.cdi.names,
        ),
    )


def _plugin_names(resources: Resources) -> PluginNames:
    installed = [plugin.name for plugin in resources.plugins.installed(network_drivers.CAPABILITY)]
    return PluginNames(
        volume=["local", *resources.volume_drivers.names()],
        network=[*installed, *(network.driver for network in resources.networks.all())],
        authorization=resources.authorizers.names,
    )


def instant_answers(authorizers: Authorizers) -> InstantAnswers:
    """Return what is answered without a handler, as long as nobody has to be asked."""
    return InstantAnswers(COMMON | ping_headers(_BUILDER), lambda: not authorizers.active)


def system_handlers(
    system: System, drivers: Drivers, resources: Resources, containers: Containers, cache: CacheUsage
) -> list[Handlers]:
    """Return the handlers of the system's routes."""
    catalog = resources.stores.catalog
    sizer = Sizer(drivers.content, drivers.layers)
    lister = Lister(catalog, resources.images, sizer)
    meter = DiskUsageMeter(lister, sizer, containers.table, containers.sizer, resources.volumes, cache)
    return [SystemHandlers(system, meter, resources.images, _BUILDER), EventHandlers(resources.bus)]


def info_settings(config: Config, drivers: Drivers) -> InfoSettings:
    """Return what `/info` shows of the settings. Blocks (a small file)."""
    return InfoSettings(
        root=config.data_root,
        engine_id=engine_id(config.data_root / "engine-id"),
        logging_driver=config.log_driver,
        labels=config.labels,
        debug=config.debug,
        experimental=config.experimental,
        registry=RegistryInfo(
            ("127.0.0.0/8", "::1/128", *config.insecure_registries), config.mirrors.get("docker.io", ())
        ),
        proxies=_proxies(),
        address_pools=[(p.base, p.size) for p in config.default_address_pools],
        firewall=drivers.firewall.name,
        cgroup_driver=drivers.cgroups.driver,
        cgroup_v2=drivers.cgroups.v2,
        cdi_spec_dirs=drivers.cdi.directories,
        security_options=_security_options(v2=drivers.cgroups.v2, remapped=drivers.mapped is not None),
    )


def _proxies() -> ProxyInfo:
    """Settings have gone into the environment at start (see `cli.py`)."""
    return ProxyInfo(*(os.environ.get(name, "") for name in ("http_proxy", "https_proxy", "no_proxy")))


def _security_options(*, v2: bool, remapped: bool) -> list[str]:
    options = ["name=seccomp,profile=builtin"] if Path("/proc/sys/kernel/seccomp").exists() else []
    options += ["name=userns"] if remapped else []
    return [*options, *(["name=cgroupns"] if v2 else [])]
