"""Builds the drivers: everything that touches the kernel, the disk and the network."""

import asyncio
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from engine.config.settings import Config
from engine.drivers.cdi.devices import CdiDevices
from engine.drivers.cgroups.cgroups import Cgroups
from engine.drivers.cgroups.cgroups import Settings as CgroupSettings
from engine.drivers.confine.confine import Confine
from engine.drivers.firewall.choose import open_firewall
from engine.drivers.firewall.host_ports import HostPorts
from engine.drivers.firewall.rules import Firewall
from engine.drivers.linux.subids import mapping_for
from engine.drivers.logs.forward.forwarder import Forwarders
from engine.drivers.logs.rotate import Rotator
from engine.drivers.netlink.netlink import Netlink
from engine.drivers.registry.settings import Proxies, RegistrySettings, proxies_of
from engine.drivers.registry.transport import Transport
from engine.drivers.runtime.conmon import Conmon
from engine.drivers.runtime.oci import AddedRuntime, Runtimes, RuntimeSettings
from engine.drivers.storage.content import ContentStore
from engine.drivers.storage.layers import LayerStore
from engine.drivers.storage.mapped import MappedData, unmount_mapped
from engine.drivers.storage.overlay import OverlayDriver
from engine.drivers.volumes.local import LocalVolumes
from engine.state.store import Store


@dataclass(frozen=True, slots=True)
class Drivers:
    """All drivers, started."""

    store: Store
    confine: Confine
    content: ContentStore
    layers: LayerStore
    overlay: OverlayDriver
    volumes: LocalVolumes
    conmon: Conmon
    runtimes: Runtimes
    cgroups: Cgroups
    netlink: Netlink
    firewall: Firewall
    host_ports: HostPorts
    transport: Transport
    rotator: Rotator
    cdi: CdiDevices
    mapped: MappedData | None
    forwarders: Forwarders
    spool: Path

    async def close(self) -> None:
        """Stop what the drivers do in the background; what containers use stays."""
        await self.transport.close()
        await self.rotator.close()
        await self.forwarders.close()
        await self.overlay.close()
        if self.mapped is not None:
            await self.mapped.close()
        await self.conmon.close()
        await self.confine.close()
        await self.cgroups.close()
        await asyncio.to_thread(self.content.close)
        await asyncio.to_thread(self.store.close)


async def start_drivers(config: Config) -> Drivers:
    """Make the directories and start the drivers. Raises OSError, WharfError where the host does not allow it."""
    data, run = config.data_root, config.exec_root
    # Not below `run`, which is usually memory: what a slow client has not read yet may be large.
    spool = data / "spool"
    await asyncio.to_thread(_make_directories, data, run, spool)
    store = await asyncio.to_thread(Store, data / "state.db")
    layers, content = LayerStore(data / "layers"), ContentStore(data / "content")
    mapped = await _mapped(config)
    confine, overlay, netlink = Confine(), OverlayDriver(data / "overlay", layers, mapped), Netlink(run / "netns")
    cgroups = Cgroups(CgroupSettings(config.cgroup_driver, config.cgroup_parent))
    conmon = Conmon(run / "conmon", spool)
    await asyncio.to_thread(layers.clean)
    await asyncio.to_thread(content.open)
    await asyncio.to_thread(conmon.prepare)
    # conmon runs where we do, and leaves a file `oom` there.
    os.chdir(run / "conmon")
    await overlay.start()
    return Drivers(
        store=store,
        confine=confine,
        content=content,
        layers=layers,
        overlay=overlay,
        volumes=LocalVolumes(data / "volumes"),
        conmon=conmon,
        runtimes=await Runtimes.find(_runtime_settings(config, cgroups)),
        cgroups=cgroups,
        netlink=netlink,
        firewall=await asyncio.to_thread(_firewall, config),
        host_ports=HostPorts(),
        transport=Transport(registry_settings(config)),
        rotator=Rotator(),
        mapped=mapped,
        cdi=CdiDevices(config.cdi_spec_dirs if config.features.get("cdi", True) else ()),
        forwarders=Forwarders(),
        spool=spool,
    )


async def _mapped(config: Config) -> MappedData | None:
    place = config.exec_root / "mapped"
    if not config.userns_remap:
        await asyncio.to_thread(unmount_mapped, place)
        return None
    mapping = await asyncio.to_thread(mapping_for, config.userns_remap)
    mapped = MappedData(config.data_root, place, mapping)
    await mapped.start()
    return mapped


def _make_directories(data: Path, run: Path, spool: Path) -> None:
    """Blocks; call in a thread."""
    for path, mode in ((data / "containers", 0o710), (run / "containers", 0o700), (spool, 0o700)):
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    for leftover in spool.iterdir():
        with contextlib.suppress(OSError):
            leftover.unlink()


def _runtime_settings(config: Config, cgroups: Cgroups) -> RuntimeSettings:
    default = "" if config.default_runtime == "io.containerd.runc.v2" else config.default_runtime
    if config.userns_remap and not default:
        default = "runc"  # crun gives the host's /dev/null to the container's root.
    return RuntimeSettings(
        state=config.exec_root / "runtime",
        default=default,
        added={name: AddedRuntime(one.path, one.runtime_args) for name, one in config.runtimes.items()},
        systemd_cgroup=cgroups.driver == "systemd",
    )


def registry_settings(config: Config) -> RegistrySettings:
    """Return how registries are reached."""
    return RegistrySettings(
        mirrors=config.mirrors,
        insecure=("127.0.0.0/8", "::1/128", *config.insecure_registries),
        proxies=proxies_of(Proxies(config.http_proxy, config.https_proxy, config.no_proxy), os.environ),
    )


def _firewall(config: Config) -> Firewall:
    """Blocks; call in a thread."""
    return open_firewall(config.firewall_backend, config.bridge or "wharf0", enabled=config.iptables)
