"""The log drivers `json-file` and `local`, and the copy that remote drivers keep for `docker logs`: files, bounded.

Sizes and numbers are looked at when the container starts, as dockerd does it.
"""

from collections.abc import Callable, Mapping

from engine.core.go_values import parse_bool, parse_int, parse_size
from engine.core.model.container import Container
from engine.domain.containers.log_drivers import attributes
from engine.domain.containers.log_drivers.attributes import ATTRIBUTE_OPTIONS
from engine.drivers.logs.rotate import LogBounds

_SIZES = ("max-file", "max-size", "compress")
OPTIONS = {"json-file": (*_SIZES, *ATTRIBUTE_OPTIONS), "local": _SIZES}
CACHE_OPTIONS = ("cache-disabled", *(f"cache-{name}" for name in _SIZES))
_CACHE = "cache-"


def bounds(container: Container) -> LogBounds:
    """Return how the log's files are bounded. Raises ValueError with what dockerd says at the start."""
    config = container.host_config.log_config
    options = config.config or {}
    if config.type == "local":
        return _of_local(options)
    if config.type == "json-file":
        made = _of_json_file(options)
        attributes.selected(container)
        attributes.tag(container, "")
        return made
    return _of_cache(options)


def _of_json_file(options: Mapping[str, str]) -> LogBounds:
    """Without `max-size` our own bounds apply; with it, and without `max-file`, there is one file, as in dockerd."""
    defaults = LogBounds()
    size = parse_size(options["max-size"], 1000) if "max-size" in options else -1
    if size == 0:
        raise ValueError("max-size must be a positive number")
    files = parse_int(options.get("max-file", "1"))
    if files < 1:
        raise ValueError("max-file cannot be less than 1")
    compress = parse_bool(options["compress"]) if "compress" in options else False
    if compress and (files == 1 or size == -1):
        raise ValueError("compress cannot be true when max-file is less than 2 or max-size is not set")
    if size == -1:
        return LogBounds(defaults.max_size, max(files, defaults.max_files))
    return LogBounds(size, files, compress)


def _of_local(options: Mapping[str, str]) -> LogBounds:
    size = _named(parse_size, options, "max-size")
    files = _named(parse_int, options, "max-file")
    try:
        compress = parse_bool(options.get("compress", "true"))
    except ValueError as error:
        raise ValueError(f"error reading compress log option: {error}") from error
    defaults = LogBounds()
    files = defaults.max_files if files is None else max(files, 1)
    if compress and files == 1:
        raise ValueError("compression cannot be enabled when max file count is 1")
    return LogBounds(size or defaults.max_size, files, compress)


def _named(parse: Callable[[str], int], options: Mapping[str, str], name: str) -> int | None:
    if name not in options:
        return None
    try:
        return parse(options[name])
    except ValueError as error:
        raise ValueError(f"invalid value for {name}: {options[name]}: {error}") from error


def _of_cache(options: Mapping[str, str]) -> LogBounds:
    """dockerd does not look at these values; what makes no sense is ignored."""
    own = {name.removeprefix(_CACHE): value for name, value in options.items() if name.startswith(_CACHE)}
    own.pop("disabled", None)
    try:
        return _of_local(own)
    except ValueError:
        return LogBounds(compress=True)


def cache_disabled(options: Mapping[str, str]) -> bool:
    """Tell whether a remote driver keeps nothing for `docker logs`. Raises ValueError."""
    return parse_bool(options["cache-disabled"]) if options.get("cache-disabled") else False
