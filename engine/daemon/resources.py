"""Builds what containers use: events, images, networks, volumes."""

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.config.settings import Config
from engine.daemon.drivers import Drivers
from engine.domain.events.bus import EventBus
from engine.domain.images.announce import Announcer
from engine.domain.images.catalog import Catalog
from engine.domain.images.delete import Deleter
from engine.domain.images.downloads import Downloader
from engine.domain.images.garbage import Garbage
from engine.domain.images.image_gc import GcPolicy, ImageGc
from engine.domain.images.images import Images
from engine.domain.images.pull import Stores
from engine.domain.images.unpack import Unpacker
from engine.domain.networks.networks import NetworkDrivers, Networks, PluginDrivers
from engine.domain.networks.settings import DEFAULT_MTU, DEFAULT_POOLS, AddressPool, NetworkSettings
from engine.domain.plugins.authorize import Authorizers
from engine.domain.plugins.directory import PluginDirectory
from engine.domain.plugins.ipam_drivers import PluginIpamDrivers
from engine.domain.plugins.log_drivers import PluginLogDrivers
from engine.domain.plugins.network_drivers import PluginNetworkDrivers
from engine.domain.plugins.table import PluginTable
from engine.domain.plugins.volume_drivers import PluginVolumeDrivers
from engine.domain.volumes.volumes import Volumes
from engine.drivers.linux.disk import used_percent
from engine.drivers.plugins.discovery import Places

# Not docker0: a dockerd may run beside.
DEFAULT_BRIDGE = "wharf0"


@dataclass(frozen=True, slots=True)
class Resources:
    """The parts below containers."""

    bus: EventBus
    stores: Stores
    images: Images
    image_events: Announcer
    image_gc: ImageGc
    downloader: Downloader
    networks: Networks
    volumes: Volumes
    installed: PluginTable
    plugins: PluginDirectory
    authorizers: Authorizers
    volume_drivers: PluginVolumeDrivers
    log_drivers: PluginLogDrivers

    async def close(self) -> None:
        """Finish what goes on in the background."""
        await self.image_gc.close()
        await self.downloader.close()
        await self.stores.unpacker.close()
        await self.stores.garbage.close()
        await self.images.close()
        await self.networks.close()
        await self.bus.close()


async def build_resources(config: Config, drivers: Drivers) -> Resources:
    """Build the parts and read their records. Raises OSError, WharfError."""
    bus = await asyncio.to_thread(EventBus, drivers.store)
    catalog = await asyncio.to_thread(Catalog, drivers.store)
    garbage = Garbage(catalog, drivers.content, drivers.layers)
    unpacker = Unpacker(drivers.content, drivers.layers, drivers.confine)
    kernel = NetworkDrivers(drivers.netlink, drivers.firewall, drivers.host_ports)
    installed = await asyncio.to_thread(PluginTable, drivers.store)
    plugins = PluginDirectory(_plugin_places(config), installed)
    remote = PluginDrivers(PluginNetworkDrivers(plugins), PluginIpamDrivers(plugins))
    networks = Networks(drivers.store, bus, kernel, network_settings(config), remote)
    await networks.start()
    volume_drivers = PluginVolumeDrivers(plugins)
    images, announcer = Images(catalog, garbage, unpacker), Announcer(bus)
    # What it deletes is used by no container at all, so none of them runs.
    deleter = Deleter(catalog, images, garbage, announcer, lambda _: False)
    return Resources(
        bus=bus,
        stores=Stores(catalog, drivers.content, garbage, unpacker),
        images=images,
        image_events=announcer,
        image_gc=ImageGc(catalog, images, deleter, partial(used_percent, config.data_root)),
        downloader=Downloader(drivers.content, config.max_concurrent_downloads or 3, config.max_download_attempts),
        networks=networks,
        volumes=Volumes(drivers.store, drivers.volumes, bus, drivers.confine.tree_size, volume_drivers),
        installed=installed,
        plugins=plugins,
        authorizers=Authorizers(plugins, config.authorization_plugins),
        volume_drivers=volume_drivers,
        log_drivers=PluginLogDrivers(plugins, str(config.data_root)),
    )


def gc_policy(config: Config) -> GcPolicy:
    """Return the policy by which unused images go."""
    return GcPolicy(config.image_gc, config.image_gc_age)


def _plugin_places(config: Config) -> Places:
    """Return where plugins that run by themselves are looked for: our own directories, then dockerd's."""
    return Places(
        sockets=(config.exec_root / "plugins", Path("/run/docker/plugins")),
        specs=(config.config_file.parent / "plugins", Path("/etc/docker/plugins"), Path("/usr/lib/docker/plugins")),
    )


def network_settings(config: Config) -> NetworkSettings:
    """Return the settings that concern networks."""
    pools = tuple(AddressPool(p.base, p.size) for p in config.default_address_pools)
    return NetworkSettings(
        bridge=config.bridge or DEFAULT_BRIDGE,
        bip=config.bip,
        bip6=config.bip6,
        fixed_cidr=config.fixed_cidr,
        fixed_cidr_v6=config.fixed_cidr_v6,
        default_gateway=config.default_gateway,
        default_gateway_v6=config.default_gateway_v6,
        ipv6=config.ipv6,
        mtu=config.mtu or DEFAULT_MTU,
        icc=config.icc,
        ip_masquerade=config.ip_masq and config.iptables,
        ip_forward=config.ip_forward,
        forward_drop=config.iptables and not config.ip_forward_no_drop,
        direct_routing=config.allow_direct_routing,
        userland_proxy=config.userland_proxy,
        host_ip=config.ip or "0.0.0.0",
        dns=tuple(config.dns),
        default_address_pools=pools or DEFAULT_POOLS,
        network_options=config.default_network_opts,
    )
