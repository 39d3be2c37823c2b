"""What on the host a bind shows: made where `--volume` may make it, looked at where the runtime must know."""

from pathlib import Path

import msgspec

from engine.core.model.container import BindOptions, Mount, MountPoint
from engine.domain.containers.failures import BindSourceMissing, BindSourceNotMade


def ready_bind(mount: MountPoint) -> MountPoint:
    """Make the directory of a `--volume` that does not exist, and return the mount as the runtime is to take it.

    Raises BindSourceMissing, BindSourceNotMade. Blocks; call in a thread.
    """
    source = Path(mount.source)
    if not source.exists():
        if not _may_make(mount.spec):
            raise BindSourceMissing(mount.source)
        _make(source)
    return fitted(mount)


def fitted(mount: MountPoint) -> MountPoint:
    """Return a mount with its source there as the runtime is to take it. Blocks; call in a thread."""
    return mount if mount.rw or Path(mount.source).is_dir() else _of_file(mount)


def require_source(mount: Mount) -> None:
    """Raise BindSourceMissing for a `--mount` of nothing. Blocks; call in a thread."""
    if mount.type == "bind" and not _may_make(mount) and not Path(mount.source).exists():
        raise BindSourceMissing(mount.source)


def _may_make(spec: Mount | None) -> bool:
    return spec is None or (spec.bind_options is not None and spec.bind_options.create_mountpoint)


def _make(source: Path) -> None:
    try:
        source.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BindSourceNotMade(str(source), str(error.strerror).lower()) from error


def _of_file(mount: MountPoint) -> MountPoint:
    """Nothing is mounted below a file, so plain read-only says all; crun 1.8 cannot make a file recursively so."""
    spec = mount.spec or Mount(type=mount.type, source=mount.source, target=mount.destination)
    options = msgspec.structs.replace(spec.bind_options or BindOptions(), read_only_non_recursive=True)
    return msgspec.structs.replace(mount, spec=msgspec.structs.replace(spec, bind_options=options))
