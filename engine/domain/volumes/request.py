"""What a client asks for when it makes a volume, and whether that is possible. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.domain.volumes.failures import (
    InvalidVolumeName,
    InvalidVolumeOption,
    MissingVolumeOption,
    QuotaUnsupported,
    VolumeNameTooShort,
)

LOCAL = "local"
ANONYMOUS_LABEL = "com.docker.volume.anonymous"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_OPTIONS = ("type", "o", "device", "size")
_MOUNT_OPTIONS = ("type", "o", "device")


@dataclass(frozen=True, slots=True)
class VolumeRequest:
    """A volume to make. An empty name asks for a random one; an anonymous one goes with its container."""

    name: str = ""
    driver: str = ""
    labels: Mapping[str, str] | None = None
    options: Mapping[str, str] | None = None
    anonymous: bool = False


def require_valid(name: str, options: Mapping[str, str]) -> None:
    """Check name and options by the rules of Moby's local driver. Raises InvalidParameter with its texts."""
    if len(name) == 1:
        raise VolumeNameTooShort(name)
    if not _NAME.fullmatch(name) or len(name) > 255 - len(".removed-"):
        raise InvalidVolumeName(name)
    for option in options:
        if option not in _OPTIONS:
            raise InvalidVolumeOption(name, option)
    if "size" in options:
        raise QuotaUnsupported(name)
    if any(o in options for o in _MOUNT_OPTIONS):
        for required in ("device", "type"):
            if not options.get(required):
                raise MissingVolumeOption(name, required)


def labels_of(request: VolumeRequest) -> dict[str, str] | None:
    """Return the new volume's labels: one without a name of its own says so."""
    if request.anonymous or not request.name:
        return {**(request.labels or {}), ANONYMOUS_LABEL: ""}
    return None if request.labels is None else dict(request.labels)
