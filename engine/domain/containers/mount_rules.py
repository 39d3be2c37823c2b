"""What a mount that a client asks for must look like, with dockerd's texts. Pure: looks at no file."""

import posixpath
from pathlib import PurePosixPath

from engine.core.errors import InvalidParameter
from engine.core.model.container import Mount

_PROPAGATIONS = ("", "private", "rprivate", "shared", "rshared", "slave", "rslave")
_TMPFS_FLAGS = ("exec", "noexec")
_OPTION_FIELDS = (
    ("BindOptions", "bind_options", "bind"),
    ("VolumeOptions", "volume_options", "volume"),
    ("TmpfsOptions", "tmpfs_options", "tmpfs"),
    ("ImageOptions", "image_options", "image"),
)


class InvalidMount(InvalidParameter):
    """A mount that contradicts itself or names no proper place."""

    def __init__(self, mount_type: str, reason: str) -> None:
        super().__init__(f'invalid mount config for type "{mount_type}": {reason}')
        self.reason = reason


class InvalidTmpfsDestination(InvalidParameter):
    """`--tmpfs` on a place where nothing can be mounted."""


def require_valid_mount(mount: Mount) -> None:
    """Raise InvalidMount for a mount of `HostConfig.Mounts` that dockerd would refuse."""
    if not mount.target:
        raise InvalidMount(mount.type, "field Target must not be empty")
    if mount.type not in _CHECKS:
        raise InvalidMount(mount.type, "mount type unknown")
    if problem := destination_problem(mount.target):
        raise InvalidMount(mount.type, problem)
    if problem := _CHECKS[mount.type](mount) or _foreign_options(mount):
        raise InvalidMount(mount.type, problem)


def destination_problem(path: str) -> str:
    """Say why nothing can be mounted at a path of the container; empty where it can."""
    if not path.startswith("/"):
        return f"invalid mount path: '{path}' mount path must be absolute"
    return "invalid specification: destination can't be '/'" if clean(path) == "/" else ""


def clean(path: str) -> str:
    """Return a path without `..`, `.` and doubled or trailing slashes."""
    normal = posixpath.normpath(path)
    return normal[1:] if normal.startswith("//") else normal


def require_valid_tmpfs_destination(path: str) -> None:
    """Raise InvalidTmpfsDestination."""
    if problem := destination_problem(path):
        raise InvalidTmpfsDestination(problem)


def _foreign_options(mount: Mount) -> str:
    for name, field, mount_type in _OPTION_FIELDS:
        if getattr(mount, field) is not None and mount.type != mount_type:
            return f"field {name} must not be specified"
    return ""


def _bind(mount: Mount) -> str:
    if not mount.source:
        return "field Source must not be empty"
    options = mount.bind_options
    if options is not None and options.propagation not in _PROPAGATIONS:
        return f"invalid propagation mode: {options.propagation}"
    if foreign := _foreign_options(mount):
        return foreign
    if not mount.source.startswith("/"):
        return f"invalid mount path: '{mount.source}' mount path must be absolute"
    return ""


def _volume(mount: Mount) -> str:
    if foreign := _foreign_options(mount):
        return foreign
    subpath = mount.volume_options.subpath if mount.volume_options else ""
    if not mount.source and mount.read_only:
        return "must not set ReadOnly mode when using anonymous volumes"
    if not mount.source and subpath:
        return "must not set Subpath when using anonymous volumes"
    return _subpath_problem(subpath)


def _subpath_problem(subpath: str) -> str:
    if not subpath:
        return ""
    path = PurePosixPath(posixpath.normpath(subpath))
    outside = path.is_absolute() or path.parts[:1] == ("..",)
    return "subpath must be a relative path within the volume" if outside else ""


def _tmpfs(mount: Mount) -> str:
    if foreign := _foreign_options(mount):
        return foreign
    if mount.source:
        return "field Source must not be specified"
    for option in (mount.tmpfs_options.options if mount.tmpfs_options else None) or ():
        if len(option) != 1 or option[0] not in _TMPFS_FLAGS:
            return f"invalid option: {option[0] if option else ''}"
    return ""


def _image(mount: Mount) -> str:
    if foreign := _foreign_options(mount):
        return foreign
    if not mount.source:
        return "field Source must not be empty"
    return _subpath_problem(mount.image_options.subpath if mount.image_options else "")


_CHECKS = {"bind": _bind, "volume": _volume, "tmpfs": _tmpfs, "image": _image}
