"""`--security-opt`: what the list of texts means. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from engine.core.errors import Internal

_FLAGS = frozenset({"no-new-privileges", "writable-cgroups"})
_KEYS = _FLAGS | {"label", "seccomp", "apparmor"}


class InvalidSecurityOption(Internal):
    """Not an option that Docker knows; dockerd answers 500."""

    def __init__(self, text: str) -> None:
        super().__init__(f'invalid --security-opt 2: "{text}"')


class MalformedSecurityOption(Internal):
    """Neither `key=value` nor `key:value`."""

    def __init__(self, text: str) -> None:
        super().__init__(f'invalid --security-opt 1: "{text}"')


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """The options by name. `seccomp` is a profile in JSON, `unconfined`, `builtin`, or empty for the default."""

    seccomp: str = ""
    apparmor: str = ""
    no_new_privileges: bool = False
    writable_cgroups: bool = False
    labels: tuple[str, ...] = ()


def parse_security_options(options: Iterable[str]) -> SecurityOptions:
    """Read the options. Raises InvalidSecurityOption, MalformedSecurityOption."""
    seen: dict[str, str] = {}
    labels: list[str] = []
    flags: dict[str, bool] = {}
    for option in options:
        key, value = _split(option)
        if key == "label":
            labels.append(value)
        elif key in _FLAGS:
            flags[key] = _flag(value, option)
        else:
            seen[key] = value
    return SecurityOptions(
        seccomp=seen.get("seccomp", ""),
        apparmor=seen.get("apparmor", ""),
        no_new_privileges=flags.get("no-new-privileges", False),
        writable_cgroups=flags.get("writable-cgroups", False),
        labels=tuple(labels),
    )


def _split(option: str) -> tuple[str, str]:
    if option in _FLAGS:
        return option, "true"
    if option == "disable":
        return "label", "disable"
    separator = "=" if "=" in option else ":"
    key, found, value = option.partition(separator)
    if not found:
        raise MalformedSecurityOption(option)
    if key not in _KEYS:
        raise InvalidSecurityOption(option)
    return key, value


def _flag(text: str, option: str) -> bool:
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise InvalidSecurityOption(option)
