"""One specification file: JSON or YAML, read and judged. Pure but for the reading."""

import re
from pathlib import Path

import msgspec
import yaml
from msgspec import Struct

from engine.core.model.cdi import ContainerEdits

SUFFIXES = (".json", ".yaml")
_SIZE_LIMIT = 16 << 20
_VENDOR = re.compile(r"[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?", re.ASCII)
_CLASS = re.compile(r"[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?", re.ASCII)
_DEVICE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?", re.ASCII)


class UnreadableSpec(ValueError):
    """The file is no CDI specification."""


class Device(Struct, frozen=True, kw_only=True, rename="camel"):
    """A device and what it changes in a container."""

    name: str
    container_edits: ContainerEdits = ContainerEdits()


class Spec(Struct, frozen=True, kw_only=True, rename="camel"):
    """The devices of one kind (`vendor.com/class`); `container_edits` go with each of them."""

    cdi_version: str
    kind: str
    devices: list[Device]
    container_edits: ContainerEdits = ContainerEdits()


def read_spec(path: Path) -> Spec:
    """Read a file. Raises OSError, UnreadableSpec. Blocks; call in a thread."""
    if path.stat().st_size > _SIZE_LIMIT:
        raise UnreadableSpec(f"{path}: too large")
    return parse_spec(path.read_bytes(), path.suffix)


def parse_spec(data: bytes, suffix: str) -> Spec:
    """Return the specification. Raises UnreadableSpec."""
    try:
        value = msgspec.json.decode(data) if suffix == ".json" else yaml.safe_load(data)
        spec = msgspec.convert(value, Spec)
    except (msgspec.MsgspecError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableSpec(str(error)) from error
    _require_valid(spec)
    return spec


def _require_valid(spec: Spec) -> None:
    vendor, _, kind = spec.kind.partition("/")
    if not _VENDOR.fullmatch(vendor) or not _CLASS.fullmatch(kind):
        raise UnreadableSpec(f"invalid kind {spec.kind!r}")
    names = [device.name for device in spec.devices]
    if not names or len(set(names)) != len(names) or not all(_DEVICE.fullmatch(name) for name in names):
        raise UnreadableSpec(f"{spec.kind}: no devices, or names that are invalid or not unique")
