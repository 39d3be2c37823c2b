"""Which log drivers there are, what each takes, and where it sends a container's log. Pure but for `stat`.

Checks and their order are dockerd's: the mode first, then the driver, then its options. Sizes, tags and expressions are
looked at when the container starts. A driver of another name is a plugin, which takes any option.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.core.errors import InvalidParameter
from engine.core.go_values import parse_size
from engine.core.model.container import Container, LogConfig
from engine.domain.containers.log_drivers import files, fluentd, gelf, journald, syslog
from engine.domain.containers.log_drivers.failures import InvalidLogOption, UnknownLogOption, bad_default
from engine.drivers.logs.forward.forwarder import Destination

NONE = "none"
_FILES = ("json-file", "local")
_NATIVELY_READ = (*_FILES, "journald", "")
_DEFAULT_BUFFER = 1_000_000
_GENERAL = ("mode", "max-buffer-size", *files.CACHE_OPTIONS)
Options = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Remote:
    """A driver that sends; `eager`: it looks at its values before it looks for unknown options."""

    options: Sequence[str]
    require_valid: Callable[[Options], None]
    destination: Callable[[Container, Options, str], Destination]
    eager: bool = False


_REMOTE = {
    "fluentd": _Remote(fluentd.OPTIONS, fluentd.require_valid, fluentd.destination),
    "gelf": _Remote(gelf.OPTIONS, gelf.require_valid, gelf.destination, eager=True),
    "journald": _Remote(journald.OPTIONS, journald.require_valid, journald.destination),
    "syslog": _Remote(syslog.OPTIONS, syslog.require_valid, syslog.destination),
}
DRIVERS = tuple(sorted((*_FILES, *_REMOTE)))


def require_valid_logging(config: LogConfig) -> None:
    """Raise UnknownLogOption, InvalidLogOption. May look for a socket: blocks for no time."""
    if config.type == NONE:
        return
    options = config.config or {}
    _require_valid_mode(options)
    try:
        files.cache_disabled(options)
    except ValueError as error:
        raise InvalidLogOption(f"invalid value for option cache-disabled: {options['cache-disabled']}") from error
    own = {name: value for name, value in options.items() if name not in _GENERAL}
    if not is_plugin(config):
        _require_valid_options(config.type, own)


def _require_valid_options(driver: str, options: Options) -> None:
    remote = _REMOTE.get(driver)
    known = remote.options if remote else files.OPTIONS[driver]
    unknown = next((name for name in options if name not in known), "")
    if unknown and not (remote and remote.eager):
        raise UnknownLogOption(unknown, driver)
    if remote:
        try:
            remote.require_valid(options)
        except ValueError as error:
            raise InvalidLogOption(str(error)) from error


def _require_valid_mode(options: Options) -> None:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidLogOption(f"logger: logging mode not supported: {mode}")
    size = options.get("max-buffer-size")
    if size is None:
        return
    if mode != "non-blocking":
        raise InvalidLogOption("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    try:
        parse_size(size)
    except ValueError as error:
        raise InvalidLogOption(f"error parsing option max-buffer-size: {error}") from error


def buffered(config: LogConfig) -> int:
    """Return how many bytes of messages may wait for a collector: 0 for all, unless `mode=non-blocking` says else."""
    options = config.config or {}
    if options.get("mode") != "non-blocking":
        return 0
    return max(parse_size(options["max-buffer-size"]), 1) if "max-buffer-size" in options else _DEFAULT_BUFFER


def require_valid_defaults(config: LogConfig) -> None:
    """Check the daemon's own settings as dockerd does at its start: a driver alone is not looked at.

    Raises InvalidLogOption.
    """
    if not config.config:
        return
    try:
        require_valid_logging(config)
    except InvalidParameter as error:
        raise bad_default(error) from error


def is_kept(config: LogConfig) -> bool:
    """Tell whether there is a log at all."""
    return config.type != NONE


def is_plugin(config: LogConfig) -> bool:
    """Tell whether a plugin takes the log."""
    return config.type not in (*DRIVERS, NONE, "")


def is_readable(config: LogConfig) -> bool:
    """Tell whether `docker logs` shows the log's files."""
    if config.type in _NATIVELY_READ:
        return True
    return config.type != NONE and not files.cache_disabled(config.config or {})


def destination(container: Container, hostname: str) -> Destination | None:
    """Return where the container's log is sent, None where it is not. Raises ValueError with dockerd's text."""
    config = container.host_config.log_config
    remote = _REMOTE.get(config.type)
    try:
        return remote.destination(container, config.config or {}, hostname) if remote else None
    except InvalidLogOption as error:
        raise ValueError(str(error)) from error
