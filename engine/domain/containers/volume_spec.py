"""`--volume` and `--volumes-from`: what their texts mean. Pure.

Forms: `/in/container`, `/on/host:/in/container[:options]`, `name:/in/container[:options]`; `container[:mode]`. Options,
with commas between them: `ro` or `rw`, `z` or `Z`, a propagation, `nocopy`, a consistency (ignored on Linux).
"""

from dataclasses import dataclass

from engine.core.errors import Internal, InvalidParameter
from engine.core.model.container import BindOptions, Mount, MountPoint, VolumeOptions
from engine.domain.containers.mount_rules import InvalidMount, clean, require_valid_mount

_GROUPS = {
    "rw": "access",
    "ro": "access",
    "z": "label",
    "Z": "label",
    "nocopy": "copy",
    **dict.fromkeys(("consistent", "cached", "delegated"), "consistency"),
    **dict.fromkeys(("private", "rprivate", "shared", "rshared", "slave", "rslave"), "propagation"),
}
_VOLUMES_FROM_GROUPS = ("access", "label")


class InvalidVolumeMode(Internal):
    """Unknown options, or two of a kind; dockerd answers 500."""

    def __init__(self, mode: str) -> None:
        super().__init__(f"invalid mode: {mode}")


class InvalidVolumesFromMode(InvalidParameter):
    """The same for `--volumes-from`."""

    def __init__(self, mode: str) -> None:
        super().__init__(f"invalid mode: {mode}")


class InvalidVolumeSpec(Internal):
    """Not one of the forms; dockerd answers 500."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(f"invalid volume specification: '{text}'{': ' + reason if reason else ''}")


class EmptyVolumesFrom(InvalidParameter):
    """`--volumes-from` without a container."""

    def __init__(self) -> None:
        super().__init__("volumes-from specification cannot be an empty string")


@dataclass(frozen=True, slots=True)
class Mode:
    """The options behind the last colon."""

    writable: bool = True
    propagation: str = ""
    no_copy: bool = False


def parse_bind(text: str, driver: str) -> MountPoint:
    """Return the mount of one `--volume`; `driver` makes volumes that do not exist yet.

    Raises InvalidVolumeSpec, InvalidVolumeMode.
    """
    parts = text.split(":")
    if not parts[0] or len(parts) > 3 or (len(parts) > 1 and not parts[1]):
        raise InvalidVolumeSpec(text)
    source, target = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    mode_text = parts[2] if len(parts) == 3 else ""
    if len(parts) == 2 and target in _GROUPS:
        raise InvalidVolumeSpec(text)
    mode = _parse_mode(mode_text)
    try:
        require_valid_mount(_as_mount(source, target, mode))
    except InvalidMount as error:
        raise InvalidVolumeSpec(text, str(error)) from error
    common = MountPoint(destination=clean(target), mode=mode_text, rw=mode.writable)
    return _bind_mount(source, mode, common) if source.startswith("/") else _volume_mount(source, mode, common, driver)


def _bind_mount(source: str, mode: Mode, common: MountPoint) -> MountPoint:
    return MountPoint(
        type="bind",
        source=clean(source),
        destination=common.destination,
        mode=common.mode,
        rw=common.rw,
        propagation=mode.propagation or "rprivate",
    )


def _volume_mount(name: str, mode: Mode, common: MountPoint, driver: str) -> MountPoint:
    """The local driver's volumes are shown as shared between containers: SELinux's `z`."""
    return MountPoint(
        type="volume",
        name=name,
        destination=common.destination,
        driver=driver,
        mode=common.mode or "z",
        rw=common.rw,
        copy_up=not mode.no_copy,
        anonymous=not name,
    )


def _as_mount(source: str, target: str, mode: Mode) -> Mount:
    kind = "bind" if source.startswith("/") else "volume"
    return Mount(
        type=kind,
        source=source,
        target=target,
        read_only=not mode.writable,
        bind_options=BindOptions(propagation=mode.propagation) if mode.propagation else None,
        volume_options=VolumeOptions(no_copy=True) if mode.no_copy else None,
    )


def _parse_mode(text: str) -> Mode:
    options = text.split(",") if text else []
    groups = [_GROUPS.get(o) for o in options]
    if None in groups or len(set(groups)) != len(groups):
        raise InvalidVolumeMode(text)
    propagation = next((o for o, g in zip(options, groups, strict=True) if g == "propagation"), "")
    return Mode(writable="ro" not in options, propagation=propagation, no_copy="nocopy" in options)


def parse_volumes_from(text: str) -> tuple[str, bool]:
    """Return the container that is named, and whether its volumes stay writable.

    Raises EmptyVolumesFrom, InvalidVolumesFromMode.
    """
    if not text:
        raise EmptyVolumesFrom
    reference, _, mode = text.partition(":")
    options = mode.split(",") if mode else []
    groups = [_GROUPS.get(o) for o in options]
    if any(g not in _VOLUMES_FROM_GROUPS for g in groups) or len(set(groups)) != len(groups):
        raise InvalidVolumesFromMode(mode)
    return reference, "ro" not in options
