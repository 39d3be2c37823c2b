"""`daemon.json`: reads it and turns its keys into settings, as strictly as dockerd does."""

import json
from pathlib import Path
from typing import Any

from engine.config import failures, kinds
from engine.config.failures import FileError, Mismatch
from engine.config.options import BY_KEY, OPTIONS

# Keys whose values are maps of the user's own; any other map is a section of keys.
_MAPS = {"builder", "default-network-opts", "log-opts", "runtimes", "default-ulimits", "features"}
_SECTIONS = {"proxies"}
# What a flag and the file may both have.
_MERGED = {"runtimes"}
_GO_ERRORS = (
    ("Extra data", "after top-level value"),
    ("Expecting property name", "looking for beginning of object key string"),
    ("Illegal trailing comma before end of object", "looking for beginning of object key string"),
    ("Illegal trailing comma before end of array", "looking for beginning of value"),
    ("Expecting ':'", "after object key"),
    ("Expecting ','", "after object key:value pair"),
    ("Expecting value", "looking for beginning of value"),
)


def read(path: Path) -> dict[str, Any]:
    """Return the file's object; an empty file has no keys. Blocks, briefly. Raises FileError."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileError(path, f"open {path}: {(error.strerror or '').lower()}") from None
    except UnicodeDecodeError:
        raise FileError(path, "invalid JSON: the file is not UTF-8") from None
    if not content.strip():
        return {}
    try:
        found = json.loads(content, parse_constant=_no_constant)
    except ValueError as error:
        raise FileError(path, f"invalid JSON: {_syntax(error, content)}") from None
    if not isinstance(found, dict):
        kind = {list: "array", str: "string", bool: "bool"}.get(type(found), "number")
        wanted = "Go value of type map[string]interface {}"
        raise FileError(path, f"invalid JSON: json: cannot unmarshal {kind} into {wanted}")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _syntax(error: ValueError, content: str) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    if not content[error.pos :].strip():
        return "unexpected end of JSON input"
    # Python 3.13 points at the comma before the character that Go complains of.
    skipped = error.pos + (1 if error.msg.startswith("Illegal trailing comma") else 0)
    position = skipped + len(content[skipped:]) - len(content[skipped:].lstrip())
    text = next((text for start, text in _GO_ERRORS if error.msg.startswith(start)), "in the middle")
    return f"invalid character '{content[position]}' {text}"


def _flattened(content: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict) and key not in _MAPS:
            flat.update(value)
        else:
            flat[key] = value
    return flat


def check_keys(content: dict[str, Any], given: dict[str, Any], path: Path) -> None:
    """Refuse keys that no option has, and those that a flag gives too. Raises FileError."""
    flat = _flattened(content)
    if unknown := sorted(key for key in flat if key not in BY_KEY):
        raise FileError(path, failures.unknown_keys(unknown))
    conflicts = [
        (key, option.kind.show(given[option.flag]), _shown(value))
        for key, value in flat.items()
        if (option := BY_KEY[key]).flag in given and key not in _MERGED
    ]
    if conflicts:
        order = {option.file_key: position for position, option in enumerate(sorted(OPTIONS, key=lambda o: o.flag))}
        raise FileError(path, failures.conflicting(sorted(conflicts, key=lambda conflict: order.get(conflict[0], 0))))


def _shown(value: Any) -> str:
    return kinds.go_text(value)


def decode(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the values of the file, by field of Config. Raises FileError."""
    fields: dict[str, Any] = {}
    try:
        for key, value in content.items():
            if key in _SECTIONS:
                for inner, inner_value in (value or {}).items():
                    fields[BY_KEY[inner].field] = BY_KEY[inner].kind.decode(inner_value, f"{key}.{inner}")
            else:
                fields[BY_KEY[key].field] = BY_KEY[key].kind.decode(value, key)
    except (Mismatch, ValueError) as error:
        raise FileError(path, f"invalid JSON: {error}") from None
    return fields
