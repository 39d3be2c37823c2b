"""Which mounts a new container has: `--volumes-from`, `--volume`, `--mount`, the image's volumes, in this order. Pure.

What comes later hides what comes from another container at the same place; two wishes of the client's own for one place
are an error; the image's volumes yield to everything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from engine.core.errors import InvalidParameter
from engine.core.model.container import BindOptions, ContainerConfig, HostConfig, Mount, MountPoint
from engine.domain.containers.mount_rules import clean
from engine.domain.containers.volume_spec import parse_bind


class DuplicateMountPoint(InvalidParameter):
    """Two mounts at one place."""

    def __init__(self, destination: str) -> None:
        super().__init__(f"Duplicate mount point: {destination}")


class ExposesDaemonRoot(InvalidParameter):
    """A bind of the daemon's own directories that would keep its mounts alive in the container."""

    def __init__(self, root: str, source: str, propagation: str) -> None:
        super().__init__(
            'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within '
            f'the daemon root, daemon root: "{root}", bind mount source: "{source}", propagation: "{propagation}"'
        )


@dataclass(frozen=True, slots=True)
class MountContext:
    """What mounts depend on besides the container's own configuration.

    `volumes_from`: the mounts of each container that is named there, and whether they stay writable. `data_root` is
    the daemon's directory. `readonly_is_shallow`: the client's API version knows no recursively read-only binds.
    """

    volumes_from: Sequence[tuple[Iterable[MountPoint], bool]] = ()
    data_root: str = ""
    readonly_is_shallow: bool = False


def resolve_mounts(config: ContainerConfig, host_config: HostConfig, context: MountContext) -> list[MountPoint]:
    """Return the mounts, one for each destination.

    Sources of volumes are still empty, as are the names of new ones. Raises DuplicateMountPoint, ExposesDaemonRoot,
    InvalidVolumeSpec, InvalidVolumeMode.
    """
    mounts = {m.destination: m for source, writable in context.volumes_from for m in _inherited(source, writable)}
    own: set[str] = set()
    for mount in _wanted(host_config):
        spec_only_tmpfs = mount.type == "tmpfs"
        if mount.destination in own or (not spec_only_tmpfs and mount.destination in _tmpfs_places(host_config)):
            raise DuplicateMountPoint(mount.destination)
        own.add(mount.destination)
        mounts[mount.destination] = _guarded(mount, context) if mount.type == "bind" else mount
    for destination in _image_volumes(config):
        if destination not in mounts and destination not in _tmpfs_places(host_config):
            mounts[destination] = _anonymous(destination, host_config.volume_driver)
    return list(mounts.values())


def _tmpfs_places(host_config: HostConfig) -> Mapping[str, str]:
    return host_config.tmpfs or {}


def _inherited(mounts: Iterable[MountPoint], writable: bool) -> Iterable[MountPoint]:
    """Another container's volume is there already: nothing is copied into it, and it is not ours to remove."""
    for mount in mounts:
        yield msgspec.structs.replace(mount, rw=mount.rw and writable, mode="", copy_up=False, anonymous=False)


def _wanted(host_config: HostConfig) -> Iterable[MountPoint]:
    for text in host_config.binds or ():
        yield parse_bind(text, host_config.volume_driver)
    for mount in host_config.mounts or ():
        yield _of_spec(mount)


def _of_spec(mount: Mount) -> MountPoint:
    point = MountPoint(type=mount.type, destination=clean(mount.target), rw=not mount.read_only, spec=mount)
    if mount.type == "bind":
        propagation = mount.bind_options.propagation if mount.bind_options else ""
        return msgspec.structs.replace(point, source=clean(mount.source), propagation=propagation or "rprivate")
    if mount.type == "image":
        subpath = mount.image_options.subpath if mount.image_options else ""
        return msgspec.structs.replace(point, name=mount.source, rw=False, propagation="rprivate", subpath=subpath)
    return _volume_of_spec(mount, point) if mount.type == "volume" else point


def _volume_of_spec(mount: Mount, point: MountPoint) -> MountPoint:
    options = mount.volume_options
    driver = options.driver_config.name if options and options.driver_config else ""
    return msgspec.structs.replace(
        point,
        name=mount.source,
        driver=driver,
        mode="z",
        copy_up=not (options and options.no_copy),
        subpath=options.subpath if options else "",
        anonymous=not mount.source,
    )


def _image_volumes(config: ContainerConfig) -> list[str]:
    return sorted({clean(path) for path in config.volumes or ()})


def _anonymous(destination: str, driver: str) -> MountPoint:
    return MountPoint(type="volume", destination=destination, driver=driver, copy_up=True, anonymous=True)


def _guarded(mount: MountPoint, context: MountContext) -> MountPoint:
    """A bind that shows the daemon's own mounts must let go of them when the daemon does."""
    mount = _shallow(mount) if context.readonly_is_shallow and not mount.rw else mount
    root = context.data_root
    if not root or not (_within(mount.source, root) or _within(root, mount.source)):
        return mount
    asked = _asked_propagation(mount)
    if asked in ("rslave", "rshared"):
        return mount
    if asked:
        raise ExposesDaemonRoot(root, mount.source, asked)
    return msgspec.structs.replace(mount, propagation="rslave")


def _within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _asked_propagation(mount: MountPoint) -> str:
    if mount.spec is not None:
        return mount.spec.bind_options.propagation if mount.spec.bind_options else ""
    return mount.propagation if mount.propagation in mount.mode.split(",") else ""


def _shallow(mount: MountPoint) -> MountPoint:
    """`create_mountpoint` keeps what a bind of `--volume` is: its source is made where it is missing."""
    spec = mount.spec or Mount(
        type="bind", source=mount.source, target=mount.destination, bind_options=BindOptions(create_mountpoint=True)
    )
    options = msgspec.structs.replace(spec.bind_options or BindOptions(), read_only_non_recursive=True)
    return msgspec.structs.replace(mount, spec=msgspec.structs.replace(spec, bind_options=options))
