"""The log driver `gelf`. Source of checks and texts: dockerd 28.5."""

from collections.abc import Mapping

from engine.core import times
from engine.core.go_url import parse_url, split_host_port
from engine.core.model.container import Container
from engine.domain.containers.log_drivers import attributes
from engine.domain.containers.log_drivers.attributes import ATTRIBUTE_OPTIONS
from engine.domain.containers.log_drivers.failures import InvalidLogOption, UnknownLogOption
from engine.drivers.logs.forward.address import Address
from engine.drivers.logs.forward.connection import Route
from engine.drivers.logs.forward.forwarder import Destination
from engine.drivers.logs.forward.gelf import GelfEncoder, GelfForm

_TCP_ONLY = ("gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay")
_UDP_ONLY = ("gelf-compression-level", "gelf-compression-type")
OPTIONS = (*ATTRIBUTE_OPTIONS, "gelf-address", *_TCP_ONLY, *_UDP_ONLY)
_TYPES = ("gzip", "zlib", "none")
_LEVELS = range(-1, 10)


def require_valid(options: Mapping[str, str]) -> None:
    """Raise ValueError, InvalidLogOption, UnknownLogOption: the address comes before anything else."""
    stream = _address(options.get("gelf-address", "")).is_stream
    for name, value in options.items():
        if name not in OPTIONS:
            raise UnknownLogOption(name, "gelf")
        if name in _UDP_ONLY and stream:
            raise InvalidLogOption("compression is only supported on UDP")
        if name in _TCP_ONLY and not stream:
            raise InvalidLogOption(f'"{name}" is only valid for TCP')
        _require_valid_value(name, value)


def _require_valid_value(name: str, value: str) -> None:
    if name in _TCP_ONLY and not value.isdecimal():
        raise InvalidLogOption(f'"{name}" must be a positive integer')
    number = int(value) if value.removeprefix("-").isdecimal() else None
    if (name == "gelf-compression-type" and value not in _TYPES) or (
        name == "gelf-compression-level" and number not in _LEVELS
    ):
        raise InvalidLogOption(f'unknown value "{value}" for log opt "{name}" for gelf log driver')


def destination(container: Container, options: Mapping[str, str], hostname: str) -> Destination:
    """Return where the log goes. Raises ValueError."""
    address = _address(options.get("gelf-address", ""))
    form = GelfForm(
        extra={**_extra(container), **attributes.selected(container, lambda name: f"_{name.removeprefix('_')}")},
        compression=options.get("gelf-compression-type", "gzip"),
        level=int(options.get("gelf-compression-level", "1")),
        stream=address.is_stream,
    )
    return Destination(
        route=Route((address,)),
        encoder=lambda: GelfEncoder(form, hostname),
        retry_seconds=float(max(int(options.get("gelf-tcp-reconnect-delay", "1")), 1)),
        failure=f"gelf: cannot connect to GELF endpoint: {address} {{}}",
    )


def _extra(container: Container) -> dict[str, str]:
    return {
        "_container_id": container.id,
        "_container_name": container.name,
        "_image_id": container.image,
        "_image_name": container.config.image,
        "_command": attributes.command(container),
        "_tag": attributes.tag(container),
        "_created": times.rfc3339(container.created_at),
    }


def _address(text: str) -> Address:
    if not text:
        raise InvalidLogOption("gelf-address is a required parameter")
    url = parse_url(text)
    if url.scheme not in ("tcp", "udp"):
        raise InvalidLogOption("gelf: endpoint needs to be TCP or UDP")
    try:
        host, port = split_host_port(url.host)
    except ValueError as error:
        raise InvalidLogOption("gelf: please provide gelf-address as proto://host:port") from error
    return Address(url.scheme, host, int(port or 0))
