"""The log driver `fluentd`. Source of checks and texts: dockerd 28.5."""

from collections.abc import Mapping

from engine.core.go_url import Url, parse_url
from engine.core.go_values import parse_bool, parse_duration, parse_size, parse_uint
from engine.core.model.container import Container
from engine.domain.containers.log_drivers import attributes
from engine.domain.containers.log_drivers.attributes import ATTRIBUTE_OPTIONS
from engine.domain.containers.log_drivers.failures import InvalidLogOption
from engine.drivers.logs.forward.address import Address, Tls
from engine.drivers.logs.forward.connection import Route
from engine.drivers.logs.forward.fluentd import FluentdEncoder, FluentdForm
from engine.drivers.logs.forward.forwarder import Destination

OPTIONS = (
    *ATTRIBUTE_OPTIONS,
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
    "fluentd-write-timeout",
)
_PORT = 24224
_DIAL_SECONDS = 3.0
_INTERVAL = "fluentd-async-reconnect-interval"
_TIMEOUT = "fluentd-write-timeout"
_SECOND = 1_000_000_000
_LEAST_INTERVAL, _MOST_INTERVAL = _SECOND // 10, 10 * _SECOND


def require_valid(options: Mapping[str, str]) -> None:
    """Raise ValueError, InvalidLogOption."""
    _address(options.get("fluentd-address", ""))
    if limit := options.get("fluentd-buffer-limit"):
        parse_size(limit)
    if wait := options.get("fluentd-retry-wait"):
        parse_duration(wait)
    if retries := options.get("fluentd-max-retries"):
        parse_uint(retries)
    _flag(options, "fluentd-async")
    _require_interval(options.get(_INTERVAL, ""))
    _flag(options, "fluentd-sub-second-precision")
    _flag(options, "fluentd-request-ack")
    _write_timeout(options.get(_TIMEOUT, ""))


def destination(container: Container, options: Mapping[str, str], hostname: str) -> Destination:
    """Return where the log goes. Raises ValueError."""
    del hostname
    address = _address(options.get("fluentd-address", ""))
    chosen = attributes.selected(container)
    record = {"container_id": container.id, "container_name": f"/{container.name}", **chosen}
    form = FluentdForm(attributes.tag(container), record, _flag(options, "fluentd-sub-second-precision"))
    return Destination(
        route=Route(
            (address,),
            Tls() if address.network == "tls" else None,
            _DIAL_SECONDS,
            _write_timeout(options.get(_TIMEOUT, "")) / _SECOND,
        ),
        encoder=lambda: FluentdEncoder(form),
        lazy=_flag(options, "fluentd-async"),
        acknowledged=_flag(options, "fluentd-request-ack"),
        retry_seconds=max(parse_duration(options.get("fluentd-retry-wait") or "1s") / _SECOND, 0.01),
    )


def _flag(options: Mapping[str, str], name: str) -> bool:
    return parse_bool(options[name]) if options.get(name) else False


def _require_interval(text: str) -> None:
    if not text:
        return
    try:
        interval = parse_duration(text)
    except ValueError as error:
        raise InvalidLogOption(f"invalid value for {_INTERVAL}: {error}") from error
    if interval and not _LEAST_INTERVAL <= interval <= _MOST_INTERVAL:
        raise InvalidLogOption(f'invalid value for {_INTERVAL}: value ("{text}") must be between 100ms and 10s')


def _write_timeout(text: str) -> int:
    if not text:
        return 0
    try:
        timeout = parse_duration(text)
    except ValueError as error:
        raise InvalidLogOption(f"invalid value for {_TIMEOUT}: value must be a duration: {error}") from error
    if timeout < 0:
        raise InvalidLogOption(f"invalid value for {_TIMEOUT}: value must be a duration that is non-negative")
    return timeout


def _address(text: str) -> Address:
    if not text:
        return Address("tcp", "127.0.0.1", _PORT)
    try:
        return _parsed(parse_url(text if "://" in text else f"tcp://{text}"))
    except ValueError as error:
        raise InvalidLogOption(f"invalid fluentd-address ({text}): {error}") from error


def _parsed(url: Url) -> Address:
    if url.scheme == "unix":
        if not url.path.strip("/"):
            raise ValueError("path is empty")
        return Address("unix", path=url.path)
    if url.scheme not in ("tcp", "tls"):
        raise ValueError(f"unsupported scheme: '{url.scheme}'")
    if url.path:
        raise ValueError("should not contain a path element")
    try:
        port = parse_uint(url.port, 16) if url.port else _PORT
    except ValueError as error:
        raise ValueError(f"invalid port: {error}") from error
    return Address(url.scheme, url.hostname or "127.0.0.1", port)
