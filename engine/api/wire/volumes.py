"""Volumes between Docker's JSON and the model."""

from typing import Any

import msgspec

from engine.core import times
from engine.core.model.volume import Volume
from engine.domain.volumes.volumes import Usage, VolumeRequest

_SECOND = 1_000_000_000


class VolumeCreate(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /volumes/create`."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: dict[str, Any] | None = None

    def request(self) -> VolumeRequest:
        """Return what the domain is asked for."""
        return VolumeRequest(self.name, self.driver, self.labels, self.driver_opts, anonymous=not self.name)


def encode_volume(volume: Volume) -> dict[str, Any]:
    """Return a volume as create, inspect and list show it; its time has whole seconds."""
    return {
        "CreatedAt": times.rfc3339(volume.created_at - volume.created_at % _SECOND),
        "Driver": volume.driver,
        "Labels": _sorted(volume.labels),
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": _sorted(volume.options),
        "Scope": volume.scope,
        **({"Status": volume.status} if volume.status else {}),
    }


def encode_usage(usage: Usage) -> dict[str, Any]:
    """Return a volume as `GET /system/df` shows it."""
    return {**encode_volume(usage.volume), "UsageData": {"RefCount": usage.holders, "Size": usage.size}}


def _sorted(values: dict[str, str] | None) -> dict[str, str] | None:
    """Go writes maps in the order of their keys."""
    return None if values is None else dict(sorted(values.items()))
