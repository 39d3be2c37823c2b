"""`docker create`: from what a client asks for to a record with everything resolved that can be resolved before a start.

The record, the name and the references to image, volumes and networks come into being together; whatever fails, nothing
of them remains.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from engine.core import ids, times
from engine.core.errors import WharfError
from engine.core.model.container import Container, ContainerConfig, HostConfig, MountPoint
from engine.core.model.image import Image
from engine.core.model.network import EndpointSettings
from engine.domain.containers.announce import Announcer
from engine.domain.containers.default_names import random_name
from engine.domain.containers.erase import Belongings
from engine.domain.containers.failures import BindSourceMissing, VolumesFromInvalid
from engine.domain.containers.merge import Defaults, merge_config, merge_host_config, path_and_args
from engine.domain.containers.mounts import resolve_mounts
from engine.domain.containers.network_settings import requested_networks
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.validate import Limits, require_valid, require_valid_name, warnings
from engine.domain.images.images import Images
from engine.domain.volumes.volumes import Volumes, VolumeRequest
from engine.drivers.storage.overlay import OverlayDriver


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What `POST /containers/create` asks for."""

    config: ContainerConfig
    host_config: HostConfig
    networks: Mapping[str, EndpointSettings] = field(default_factory=dict)
    name: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Created:
    """The new container's id, and what the client should know."""

    id: str
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The daemon's settings that a new container meets."""

    paths: ContainerPaths
    defaults: Defaults
    limits: Limits
    announcer: Announcer


class Creator:
    """Makes containers."""

    def __init__(
        self,
        table: ContainerTable,
        images: Images,
        volumes: Volumes,
        overlay: OverlayDriver,
        belongings: Belongings,
        surroundings: Surroundings,
    ) -> None:
        self._table = table
        self._images = images
        self._volumes = volumes
        self._overlay = overlay
        self._belongings = belongings
        self._around = surroundings

    async def create(self, options: CreateOptions) -> Created:
        """Make a container. Raises ImageNotFound, NameInUse, InvalidParameter with dockerd's texts."""
        if options.name:
            require_valid_name(options.name)
        image = self._images.resolve(options.config.image, options.platform)
        container = self._draft(options, image)
        require_valid(container, self._around.limits)
        container = self._named(container, options.name.removeprefix("/"))
        try:
            container = await self._furnish(container, image)
            await self._table.insert(container)
        except BaseException:
            self._table.free_name(container.name, container.id)
            await asyncio.shield(self._belongings.give_up(container, remove_volumes=True))
            raise
        self._around.announcer.container(container, "create")
        return Created(container.id, warnings(container, self._around.limits))

    def _draft(self, options: CreateOptions, image: Image) -> Container:
        container_id = ids.new_id()
        host_config = merge_host_config(options.host_config, self._around.defaults)
        config = merge_config(options.config, image.config, host_config, ids.short(container_id))
        path, args = path_and_args(config)
        return Container(
            id=container_id,
            name="",
            created_at=times.now(),
            image=image.id,
            config=config,
            host_config=host_config,
            path=path,
            args=args,
            networks=requested_networks(options.networks, host_config, config),
            log_path=str(self._around.paths.log(container_id)),
        )

    def _named(self, container: Container, wanted: str) -> Container:
        name = wanted or self._free_name()
        self._table.reserve_name(name, container.id)
        return msgspec.structs.replace(container, name=name)

    def _free_name(self) -> str:
        for attempt in range(6):
            name = random_name(attempt)
            if self._table.name_owner(name) is None:
                return name
        return ids.short(ids.new_id())

    async def _furnish(self, container: Container, image: Image) -> Container:
        """Give the container its layer, directories, volumes and references."""
        self._images.acquire(image.id, container.id)
        layers = await self._images.unpacked(image)
        wanted = resolve_mounts(container.config, container.host_config, self._volume_sources(container))
        mounts = [await self._realised(container, mount) for mount in wanted]
        container = msgspec.structs.replace(container, mounts=mounts, layers=layers)
        await self._overlay.create(container.id, layers)
        await asyncio.to_thread(_make_home, self._around.paths.home(container.id))
        return container

    def _volume_sources(self, container: Container) -> list[tuple[Sequence[MountPoint], str]]:
        """Return the mounts of each container that `--volumes-from` names, and the mode given there."""
        found: list[tuple[Sequence[MountPoint], str]] = []
        for entry in container.host_config.volumes_from or ():
            reference, _, mode = entry.partition(":")
            try:
                found.append((self._table.get(reference).mounts, mode))
            except WharfError as error:
                raise VolumesFromInvalid(str(error)) from error
        return found

    async def _realised(self, container: Container, mount: MountPoint) -> MountPoint:
        if mount.type == "bind":
            await asyncio.to_thread(_require_bind_source, mount)
            return mount
        if mount.type != "volume":
            return mount
        driver = mount.spec.volume_options if mount.spec else None
        request = VolumeRequest(
            name=mount.name or ids.new_id(),
            driver=mount.driver,
            labels=driver.labels if driver else None,
            options=driver.driver_config.options if driver and driver.driver_config else None,
            anonymous=mount.anonymous,
        )
        volume = await self._volumes.create(request)
        await self._volumes.acquire(volume.name, container.id)
        return msgspec.structs.replace(mount, name=volume.name, source=volume.mountpoint, driver=volume.driver)


def _make_home(home: Path) -> None:
    """Blocks; call in a thread."""
    home.mkdir(mode=0o710, parents=True)


def _require_bind_source(mount: MountPoint) -> None:
    """Make the directory of a `--volume` bind that does not exist; a `--mount` bind must. Blocks; call in a thread."""
    source = Path(mount.source)
    if source.exists():
        return
    if mount.spec is not None and not (mount.spec.bind_options and mount.spec.bind_options.create_mountpoint):
        raise BindSourceMissing(mount.source)
    source.mkdir(parents=True, exist_ok=True)
