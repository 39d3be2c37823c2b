"""An image's configuration, completed by what only the export knows: layers, and when they were made. Pure.

As BuildKit's `exporter/containerimage` (`patchImageConfig`, `normalizeLayersAndHistory`): keys that are not known here
stay as the frontend wrote them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.core import times
from engine.core.errors import InvalidParameter
from engine.core.model.image import Platform
from engine.domain.images.documents import platform_json

_FILLED = "buildkit.exporter.image.v0"


class ConfigMalformed(InvalidParameter):
    """A frontend's image configuration is no JSON object."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"failed to parse image config for patch: {reason}")


@dataclass(frozen=True, slots=True)
class ExportedLayer:
    """What is said of a layer: the digest of its plain archive, when it was made (ns), what made it."""

    diff_id: str
    created: int
    description: str = ""


def empty_config(platform: Platform) -> bytes:
    """Return the configuration of a result without one."""
    return msgspec.json.encode({**platform_json(platform), "config": {}})


def read_config(config: bytes) -> dict[str, Any]:
    """Return a configuration's JSON object. Raises ConfigMalformed."""
    try:
        return msgspec.json.decode(config, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ConfigMalformed(str(error)) from error


def patched(config: bytes, layers: Sequence[ExportedLayer], epoch: int | None) -> bytes:
    """Return the configuration with layers, history and times. Raises ConfigMalformed.

    `epoch` (ns) is the time of all that is not older.
    """
    found = read_config(config)
    history = _history(found.get("history") or [], layers)
    if epoch is not None:
        history = [entry | {"created": _earlier(entry.get("created"), epoch)} for entry in history]
        found["created"] = times.rfc3339(epoch)
    elif not found.get("created"):
        created = [entry["created"] for entry in history if entry.get("created")]
        found["created"] = created[-1] if created else None
    found["history"] = history
    found["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    return msgspec.json.encode({key: value for key, value in sorted(found.items()) if value is not None})


def _earlier(created: str | None, epoch: int) -> str:
    try:
        instant = times.parse_rfc3339(created) if created else epoch
    except ValueError:
        instant = epoch
    return times.rfc3339(min(instant, epoch))


def _history(history: list[dict[str, Any]], layers: Sequence[ExportedLayer]) -> list[dict[str, Any]]:
    """Give each layer an entry, and each entry a time."""
    told = sum(not entry.get("empty_layer") for entry in history)
    entries = [dict(entry) for entry in history]
    entries += [
        {"created": times.rfc3339(layer.created), "created_by": layer.description, "comment": _FILLED}
        for layer in layers[told:]
    ]
    made = iter(layers)
    for entry in entries:
        layer = None if entry.get("empty_layer") else next(made, None)
        if layer is not None and not entry.get("created") and layer.created:
            entry["created"] = times.rfc3339(layer.created)
    _fill_times(entries)
    return [_ordered(entry) for entry in entries]


def _fill_times(entries: list[dict[str, Any]]) -> None:
    """An entry without a layer gets the time of the one before it; at the beginning, that of the first new layer."""
    created, gap = None, False
    for entry in entries:
        if entry.get("created"):
            created = entry["created"]
            if gap:
                break
        else:
            gap = True
    gap = False
    for entry in entries:
        if entry.get("created"):
            created = entry["created"] if gap else created
        else:
            gap = True
            if created is not None:
                entry["created"] = created


def _ordered(entry: dict[str, Any]) -> dict[str, Any]:
    names = ("created", "created_by", "author", "comment", "empty_layer")
    return {name: entry[name] for name in names if entry.get(name)}
