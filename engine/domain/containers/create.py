"""`docker create`: from what a client asks for to a record with all resolved that can be resolved before a start.

The intent is written first, so that a daemon that dies half way undoes it at its next start; the record, the name and
the references to image and volumes are there together in the end, or nothing of them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from engine.core import ids, times
from engine.core.errors import WharfError
from engine.core.model.container import Container, ContainerConfig, HostConfig, ImageManifest, Mount, MountPoint
from engine.core.model.image import Image
from engine.core.model.network import EndpointSettings, Network
from engine.domain.containers.announce import Announcer
from engine.domain.containers.bind_sources import require_source
from engine.domain.containers.default_names import random_name
from engine.domain.containers.endpoint_rules import require_valid_endpoint
from engine.domain.containers.erase import Belongings
from engine.domain.containers.image_mounts import MountSources
from engine.domain.containers.limits import Limits, enforceable
from engine.domain.containers.log_drivers.drivers import is_plugin, require_valid_logging
from engine.domain.containers.merge import Defaults, merge_config, merge_host_config, path_and_args
from engine.domain.containers.mounts import MountContext, resolve_mounts
from engine.domain.containers.network_settings import requested_networks
from engine.domain.containers.new_tree import NewTrees
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.peers import Peers
from engine.domain.containers.security_options import parse_security_options
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.validate import require_valid, require_valid_name, warnings
from engine.domain.images.images import Images, hold_of, platform_warnings
from engine.domain.volumes.request import LOCAL
from engine.domain.volumes.volumes import VolumeRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What `POST /containers/create` asks for.

    `readonly_is_shallow`: read-only binds leave the mounts below them writable (clients before API 1.44).
    """

    config: ContainerConfig
    host_config: HostConfig
    networks: Mapping[str, EndpointSettings] = field(default_factory=dict)
    name: str = ""
    platform: str = ""
    readonly_is_shallow: bool = False


@dataclass(frozen=True, slots=True)
class Created:
    """The new container's id, and what the client should know."""

    id: str
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The daemon's settings that a new container meets; `find_network` looks one up by name or id.

    `require_log_plugin` raises WharfError where no log driver of that name can be used.
    """

    paths: ContainerPaths
    defaults: Defaults
    limits: Limits
    announcer: Announcer
    require_log_plugin: Callable[[str], Awaitable[None]]
    find_network: Callable[[str], Network | None] = lambda _: None


class Creator:
    """Makes containers."""

    def __init__(
        self,
        table: ContainerTable,
        images: Images,
        sources: MountSources,
        trees: NewTrees,
        belongings: Belongings,
        surroundings: Surroundings,
    ) -> None:
        self._table = table
        self._peers = Peers(table)
        self._images = images
        self._volumes = sources.volumes
        self._image_mounts = sources.images
        self._trees = trees
        self._belongings = belongings
        self._around = surroundings

    async def create(self, options: CreateOptions) -> Created:
        """Make a container. Raises ImageNotFound, NameInUse, InvalidParameter, Internal with dockerd's texts."""
        limits = self._around.limits
        host_config, dropped = enforceable(options.host_config, limits)
        require_valid(options.config, host_config, limits)
        if host_config.mounts:
            await asyncio.to_thread(_require_sources, host_config.mounts)
        image = self._images.resolve(options.config.image, options.platform)
        self._require_valid_endpoints(options.networks)
        container = self._draft(options, host_config, image)
        if is_plugin(container.host_config.log_config):
            await self._around.require_log_plugin(container.host_config.log_config.type)
        container = self._named(container, options.name)
        try:
            container = msgspec.structs.replace(container, mounts=self._mounts(container, options))
            container = await self._furnish(container, image, options.config.working_dir)
            await self._table.insert(container)
        except BaseException:
            self._table.free_name(container.name, container.id)
            await asyncio.shield(self._undo(container))
            raise
        self._around.announcer.container(container, "create")
        foreign = [] if options.platform else platform_warnings(image)
        return Created(container.id, [*dropped, *warnings(host_config, limits), *foreign])

    def _require_valid_endpoints(self, networks: Mapping[str, EndpointSettings]) -> None:
        for name, endpoint in networks.items():
            require_valid_endpoint(name, endpoint, self._around.find_network(name))

    def _network_name(self, reference: str) -> str:
        """A network that does not exist yet is called what the client calls it: the start finds out."""
        network = self._around.find_network(reference)
        return network.name if network is not None else reference

    def _draft(self, options: CreateOptions, host_config: HostConfig, image: Image) -> Container:
        container_id, around = ids.new_id(), self._around
        host_config = self._peers.with_ids(merge_host_config(host_config, around.defaults))
        hostname = around.defaults.hostname if host_config.network_mode == "host" else ids.short(container_id)
        config = merge_config(options.config, image.config, host_config, hostname)
        require_valid_logging(host_config.log_config)
        path, args = path_and_args(config)
        return Container(
            id=container_id,
            name="",
            created_at=times.now(),
            image=image.id,
            config=config,
            host_config=self._peers.with_links(host_config),
            path=path,
            args=args,
            networks=requested_networks(options.networks, host_config, config, self._network_name),
            log_path=str(around.paths.log(container_id)),
            manifest=_manifest(image),
        )

    def _mounts(self, container: Container, options: CreateOptions) -> list[MountPoint]:
        """Return the mounts, with a name for each volume that has none yet."""
        parse_security_options(container.host_config.security_opt or ())
        context = MountContext(
            volumes_from=self._peers.volumes(container.host_config),
            data_root=str(self._around.paths.data),
            readonly_is_shallow=options.readonly_is_shallow,
        )
        wanted = resolve_mounts(container.config, container.host_config, context)
        return [msgspec.structs.replace(m, name=ids.new_id()) if m.anonymous else m for m in wanted]

    def _named(self, container: Container, wanted: str) -> Container:
        if wanted:
            require_valid_name(wanted)
        name = wanted.removeprefix("/") or self._free_name()
        self._table.reserve_name(name, container.id)
        return msgspec.structs.replace(container, name=name)

    def _free_name(self) -> str:
        for attempt in range(6):
            name = random_name(attempt)
            if self._table.name_owner(name) is None:
                return name
        return ids.short(ids.new_id())

    async def _furnish(self, container: Container, image: Image, working_directory: str) -> Container:
        """Give the container its references, volumes, layer and directory."""
        self._images.acquire(container.id, hold_of(image))
        await self._table.intend(container)
        layers = await self._images.unpacked(image)
        mounts = [await self._realised(container, mount) for mount in container.mounts]
        await self._trees.create(container.id, layers, working_directory)
        await asyncio.to_thread(_make_home, self._around.paths.home(container.id))
        return msgspec.structs.replace(container, mounts=mounts, layers=layers)

    async def _realised(self, container: Container, mount: MountPoint) -> MountPoint:
        if mount.type == "image":
            return await self._image_mounts.hold(container, mount)
        if mount.type != "volume":
            return mount
        options = mount.spec.volume_options if mount.spec else None
        request = VolumeRequest(
            name=mount.name,
            driver=mount.driver,
            labels=options.labels if options else None,
            options=options.driver_config.options if options and options.driver_config else None,
            anonymous=mount.anonymous,
        )
        await self._volumes.acquire(mount.name, container.id)  # Before it exists: so nobody can remove it in between.
        volume = await self._volumes.create(request)
        if volume.driver != LOCAL:
            # Where a plugin's volume is comes out when it is mounted.
            mode = "" if mount.mode == "z" else mount.mode
            return msgspec.structs.replace(mount, source="", driver=volume.driver, mode=mode)
        return msgspec.structs.replace(mount, source=volume.mountpoint, driver=volume.driver)

    async def _undo(self, container: Container) -> None:
        """Remove what was made by the time something failed; what cannot be removed now is, at the next start."""
        try:
            await self._belongings.give_up(container, remove_volumes=True)
            await self._table.remove(container.id)
        except (OSError, WharfError) as error:
            log.error("leftovers of a container that was not created (%s): %s", container.id, error)


def _manifest(image: Image) -> ImageManifest:
    target, platform = image.manifest, image.platform
    return ImageManifest(
        media_type=target.media_type,
        digest=target.digest,
        size=target.size,
        os=platform.os,
        architecture=platform.architecture,
        variant=platform.variant,
        annotations=target.annotations,
    )


def _make_home(home: Path) -> None:
    """Blocks; call in a thread."""
    home.mkdir(mode=0o710, parents=True)


def _require_sources(mounts: Sequence[Mount]) -> None:
    """Raise BindSourceMissing. Blocks; call in a thread."""
    for mount in mounts:
        require_source(mount)
