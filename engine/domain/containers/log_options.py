"""Which log drivers there are, and which options each takes. Pure.

Sizes and numbers of files are read when the container starts, as dockerd does it.
"""

from collections.abc import Mapping, Sequence

from engine.core.errors import InvalidParameter
from engine.core.model.container import LogConfig
from engine.core.units import ram_in_bytes

_COMMON = ("mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress")
_KNOWN = {
    "json-file": ("max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag"),
    "local": ("max-file", "max-size", "compress"),
}


class UnknownLogDriver(InvalidParameter):
    """No log driver has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'error looking up logging plugin {name}: plugin "{name}" not found')


class UnknownLogOption(InvalidParameter):
    """The driver has no such option."""

    def __init__(self, option: str, driver: str) -> None:
        which = f"log driver {driver}" if driver == "local" else f"{driver} log driver"
        super().__init__(f"unknown log opt '{option}' for {which}")


class InvalidLogOption(InvalidParameter):
    """An option's value makes no sense."""


def require_valid_logging(config: LogConfig, drivers: Sequence[str]) -> None:
    """Raise UnknownLogDriver, UnknownLogOption, InvalidLogOption."""
    if config.type == "none":
        return
    if config.type not in drivers:
        raise UnknownLogDriver(config.type)
    options = config.config or {}
    _require_valid_mode(options)
    for name in options:
        if name not in _COMMON and name not in _KNOWN.get(config.type, (name,)):
            raise UnknownLogOption(name, config.type)


def _require_valid_mode(options: Mapping[str, str]) -> None:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidLogOption(f"logger: logging mode not supported: {mode}")
    size = options.get("max-buffer-size")
    if size is None:
        return
    if mode != "non-blocking":
        raise InvalidLogOption("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    _require_size(size, "error parsing option max-buffer-size")


def _require_size(text: str, problem: str) -> None:
    try:
        ram_in_bytes(text)
    except ValueError as error:
        raise InvalidLogOption(f"{problem}: {error}") from error
