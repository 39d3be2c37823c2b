"""The log driver `syslog`. Source of checks and texts: dockerd 28.5."""

import os
from collections.abc import Mapping, Sequence

from engine.core.go_url import parse_url, split_host_port
from engine.core.model.container import Container
from engine.domain.containers.log_drivers import attributes
from engine.domain.containers.log_drivers.attributes import ATTRIBUTE_OPTIONS
from engine.drivers.logs.forward.address import Address, Tls
from engine.drivers.logs.forward.connection import Route
from engine.drivers.logs.forward.forwarder import Destination
from engine.drivers.logs.forward.syslog import SyslogEncoder, SyslogForm

OPTIONS = (
    *ATTRIBUTE_OPTIONS,
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
)
_FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
_DAEMON = _FACILITIES.index("daemon")
_SECURE = "tcp+tls"
_PORT = 514
# The host's own syslog, in the order in which it is looked for.
_SOCKETS = ("/dev/log", "/var/run/syslog", "/var/run/log")
_LOCAL = tuple(Address(network, path=path) for network in ("unixgram", "unix") for path in _SOCKETS)


def require_valid(options: Mapping[str, str]) -> None:
    """Raise ValueError."""
    addresses = _addresses(options.get("syslog-address", ""))
    if options.get("syslog-address") and addresses[0].path:
        _require_file(addresses[0].path)
    _facility(options.get("syslog-facility", ""))
    _format(options.get("syslog-format", ""))


def destination(container: Container, options: Mapping[str, str], hostname: str) -> Destination:
    """Return where the log goes. Raises ValueError."""
    addresses = _addresses(options.get("syslog-address", ""))
    secure = addresses[0].network == "tls"
    name = _format(options.get("syslog-format", ""))
    # RFC 5425: over TLS each message begins with its length.
    counted = secure and name.startswith("rfc5424")
    form = SyslogForm(attributes.tag(container), name, _facility(options.get("syslog-facility", "")), counted)
    return Destination(
        route=Route(addresses, _tls(options) if secure else None),
        encoder=lambda: SyslogEncoder(form, hostname),
        failure="{}" if options.get("syslog-address") else "Unix syslog delivery error",
    )


def _addresses(text: str) -> Sequence[Address]:
    if not text:
        return _LOCAL
    url = parse_url(text)
    if url.scheme in ("unix", "unixgram"):
        return (Address(url.scheme, path=url.path),)
    if url.scheme not in ("tcp", "udp", _SECURE):
        raise ValueError(f"unsupported scheme: '{url.scheme}'")
    host, port = split_host_port(_with_port(url.host))
    return (Address("tls" if url.scheme == _SECURE else url.scheme, host, int(port or 0)),)


def _require_file(path: str) -> None:
    try:
        os.stat(path)  # noqa: PTH116 — a Path would change what the error's text repeats
    except OSError as error:
        raise ValueError(f"stat {path}: {os.strerror(error.errno or 0).lower()}") from error


def _with_port(host: str) -> str:
    try:
        split_host_port(host)
    except ValueError as error:
        if "missing port" not in str(error):
            raise
        return f"{host}:{_PORT}"
    return host


def _facility(text: str) -> int:
    if not text:
        return _DAEMON
    if text in _FACILITIES:
        return _FACILITIES.index(text)
    if text.isdecimal() and int(text) < len(_FACILITIES):
        return int(text)
    raise ValueError("invalid syslog facility")


def _format(text: str) -> str:
    if text not in _FORMATS:
        raise ValueError("Invalid syslog format")
    return text


def _tls(options: Mapping[str, str]) -> Tls:
    """Whatever its value, `syslog-tls-skip-verify` means yes."""
    return Tls(
        ca=options.get("syslog-tls-ca-cert", ""),
        certificate=options.get("syslog-tls-cert", ""),
        key=options.get("syslog-tls-key", ""),
        skip_verify="syslog-tls-skip-verify" in options,
    )
