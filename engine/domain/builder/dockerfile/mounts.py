"""`RUN --mount=…`: what is mounted for a command, as written (BuildKit's `instructions/commands_runmount.go`). Pure."""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.core import units
from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.shell import go_quoted
from engine.domain.builder.dockerfile.suggest import did_you_mean

_TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_KEYS = (
    *("type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid"),
    *("src", "dst", "destination", "ro", "rw", "readwrite", "env"),
)
_TRUTHS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}

Expand = Callable[[str], str]


@dataclass(slots=True)
class RunMount:
    """One mount. `readonly` None: as is usual for the type; `mode`, `uid`, `gid` None: not given."""

    kind: str = "bind"
    source_stage: str = ""
    source: str = ""
    target: str = ""
    id: str = ""
    readonly: bool | None = None
    sharing: str = ""
    required: bool = False
    size: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None


def fields_of(text: str) -> list[str]:
    """Return the parts of a comma-separated list. Raises InstructionWrong."""
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InstructionWrong(f"failed to parse csv mounts: {error}") from error


def source_stage_of(text: str) -> tuple[str, str]:
    """Return a mount's type and the stage or image that it is from, before variables are replaced."""
    found = {"type": "bind", "from": ""}
    for field in fields_of(text):
        key, equals, value = field.partition("=")
        if equals and key.lower() in found:
            found[key.lower()] = value
    return found["type"].lower(), found["from"]


def check_from(text: str) -> None:
    """Raise InstructionWrong where a mount's `from` has a variable."""
    for field in fields_of(text):
        key, _, value = field.partition("=")
        if key.lower() == "from" and re.search(r"\$.", value):
            raise InstructionWrong(f"'{key.lower()}' doesn't support variable expansion, define alias stage instead")


def read_mount(text: str, expand: Expand) -> RunMount:
    """Return a mount, its variables replaced. Raises InstructionWrong."""
    mount = RunMount()
    for field in fields_of(text):
        key, equals, value = field.partition("=")
        if equals:
            _set(mount, key.lower(), expand(value), field)
        else:
            _set_bare(mount, key.lower(), field)
    _check(mount)
    return mount


def _set_bare(mount: RunMount, key: str, field: str) -> None:
    if key in ("readonly", "ro", "readwrite", "rw"):
        mount.readonly = key in ("readonly", "ro")
    elif key == "required":
        _allow(mount, key, "secret", "ssh")
        mount.required = True
    else:
        raise InstructionWrong(f"invalid field '{field}' must be a key=value pair")


def _allow(mount: RunMount, key: str, *kinds: str) -> None:
    if mount.kind not in kinds:
        raise InstructionWrong(f"unexpected key '{key}' for mount type '{mount.kind}'")


def _set(mount: RunMount, key: str, value: str, field: str) -> None:
    if key in _PLAIN:
        setattr(mount, _PLAIN[key], value)
    elif key in ("readonly", "ro", "readwrite", "rw"):
        mount.readonly = _truth(key, value) == (key in ("readonly", "ro"))
    elif key in ("mode", "uid", "gid"):
        setattr(mount, key, _number(key, value))
    elif key in _SPECIAL:
        _SPECIAL[key](mount, value)
    else:
        raise InstructionWrong(f"unexpected key '{key}' in '{field}'{did_you_mean(key, _KEYS, exact_case=True)}")


_PLAIN = {
    "from": "source_stage",
    "source": "source",
    "src": "source",
    "target": "target",
    "dst": "target",
    "destination": "target",
    "id": "id",
    "env": "env",
}


def _set_type(mount: RunMount, value: str) -> None:
    mount.kind = _one_of(value, _TYPES, "mount type")


def _set_sharing(mount: RunMount, value: str) -> None:
    mount.sharing = _one_of(value, _SHARING, "sharing value")


def _set_required(mount: RunMount, value: str) -> None:
    _allow(mount, "required", "secret", "ssh")
    mount.required = _truth("required", value)


def _set_size(mount: RunMount, value: str) -> None:
    _allow(mount, "size", "tmpfs")
    try:
        mount.size = units.ram_in_bytes(value)
    except ValueError as error:
        raise InstructionWrong(f"invalid value for size: {value}") from error


_SPECIAL: dict[str, Callable[[RunMount, str], None]] = {
    "type": _set_type,
    "sharing": _set_sharing,
    "required": _set_required,
    "size": _set_size,
}


def _one_of(value: str, known: Sequence[str], what: str) -> str:
    if value.lower() not in known:
        near = did_you_mean(value, known, exact_case=True)
        raise InstructionWrong(f"unsupported {what} {go_quoted(value)}{near}")
    return value.lower()


def _truth(key: str, value: str) -> bool:
    if value not in ("T", "F", "TRUE", "FALSE", "True", "False") and value not in _TRUTHS:
        raise InstructionWrong(f"invalid value for {key}: {value}")
    return _TRUTHS[value.lower()]


def _number(key: str, value: str) -> int:
    try:
        if not re.fullmatch(r"[0-7]+" if key == "mode" else r"[0-9]+", value):
            raise ValueError(value)
        return int(value, 8 if key == "mode" else 10)
    except ValueError as error:
        raise InstructionWrong(f"invalid value {value} for {key}") from error


def _check(mount: RunMount) -> None:
    if mount.kind in ("bind", "tmpfs"):
        for key in ("mode", "uid", "gid"):
            if getattr(mount, key) is not None:
                raise InstructionWrong(f"{key} not allowed for {go_quoted(mount.kind)} type mounts")
    if mount.readonly is None:
        mount.readonly = mount.kind not in ("cache", "tmpfs")
    if mount.kind == "secret":
        _check_secret(mount)
    if mount.sharing and mount.kind != "cache":
        raise InstructionWrong(f"invalid cache sharing set for {mount.kind} mount")


def _check_secret(mount: RunMount) -> None:
    if mount.source_stage:
        raise InstructionWrong("secret mount should not have a from")
    if mount.sharing:
        raise InstructionWrong("secret mount should not define sharing")
    if not (mount.source or mount.target or mount.id or mount.env):
        raise InstructionWrong("invalid secret mount. one of source, target required")
    if mount.source and mount.id:
        raise InstructionWrong("both source and id can't be set")
