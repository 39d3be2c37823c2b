"""Where the daemon listens: `-H` and `hosts`, as dockerd's opts.ParseHost reads them."""

import ipaddress
import re

from engine.config.settings import SOCKET

_SCHEME = re.compile(r"([a-z]+)://")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.%a-z]*\]|[^:/\[\]]*)(?::([^/]*))?(/.*)?")
_DEFAULT_NAME = "localhost"
PLAIN_PORT = 2375
TLS_PORT = 2376


def check(text: str) -> str:
    """Check a host and return it as it was given. Raises ValueError."""
    normal(text, tls=False)
    return text


def normal(text: str, *, tls: bool) -> str:
    """Return a host in full: `unix://PATH`, `fd://NAME`, `tcp://HOST:PORT`. Raises ValueError."""
    text = text.strip()
    if not text:
        return f"tcp://{_DEFAULT_NAME}:{TLS_PORT}" if tls else SOCKET
    match = _SCHEME.match(text)
    scheme = match.group(1) if match else "tcp"
    rest = text[match.end() :] if match else text
    if scheme == "unix":
        return f"unix://{rest}" if rest else SOCKET
    if scheme == "fd":
        return text
    if scheme != "tcp":
        raise ValueError(f"invalid bind address ({text}): unsupported proto '{scheme}'")
    return _tcp(text, rest, TLS_PORT if tls else PLAIN_PORT)


def _tcp(text: str, rest: str, default_port: int) -> str:
    match = _ADDRESS.fullmatch(rest)
    if match is None:
        port = rest.rpartition(":")[2]
        raise ValueError(f'invalid bind address ({text}): parse "tcp://{rest}": invalid port ":{port}" after host')
    name, port, path = match.groups()
    if path:
        raise ValueError(f"invalid bind address ({text}): should not contain a path element")
    return f"tcp://{name or _DEFAULT_NAME}:{_port(text, rest, port) or default_port}"


def _port(text: str, rest: str, port: str | None) -> int:
    if not port:
        return 0
    if not port.isascii() or not port.isdigit():
        raise ValueError(f'invalid bind address ({text}): parse "tcp://{rest}": invalid port ":{port}" after host')
    if not 0 < int(port) < 65536:
        raise ValueError(f"invalid bind address ({text}): invalid port: {int(port)}")
    return int(port)


def tcp_address(host: str) -> tuple[str, int]:
    """Split a normal `tcp://HOST:PORT`."""
    name, _, port = host.removeprefix("tcp://").rpartition(":")
    return name.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Tell whether a normal `tcp://` host can only be reached from this machine."""
    name = tcp_address(host)[0]
    if name == _DEFAULT_NAME:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
