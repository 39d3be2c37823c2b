"""Where plugins that run by themselves are: sockets and small files in a few directories, found by name.

A plugin `NAME` is a socket `NAME.sock` or `NAME/NAME.sock`, or a file `NAME.spec` (a URL) or `NAME.json` (a URL and how
to verify it). Source: Docker's plugin API, "plugin discovery". All functions block, briefly; call them in a thread.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.drivers.plugins.failures import InvalidSpec

_SUFFIXES = (".spec", ".json")
_SCHEMES = ("unix", "tcp", "http", "https")
_MAX_SPEC = 64 << 10


class TlsSettings(msgspec.Struct, frozen=True, rename="pascal"):
    """How a plugin on the network proves itself, and how we do. Names as in the file."""

    insecure_skip_verify: bool = False
    ca_file: str = msgspec.field(default="", name="CAFile")
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a plugin listens: `unix:///path` or `tcp://host:port`."""

    url: str
    tls: TlsSettings | None = None

    @property
    def path(self) -> Path | None:
        """The socket's path, None for one on the network."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None


class _Spec(msgspec.Struct, frozen=True):
    address: str = msgspec.field(default="", name="Addr")
    tls: TlsSettings | None = msgspec.field(default=None, name="TLSConfig")


@dataclass(frozen=True, slots=True)
class Places:
    """The directories that are searched, in this order."""

    sockets: Sequence[Path]
    specs: Sequence[Path]


def find(places: Places, name: str) -> Address | None:
    """Return where the plugin of that name is, or None. Raises InvalidSpec."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        return None
    for directory in places.sockets:
        for path in (directory / f"{name}.sock", directory / name / f"{name}.sock"):
            if _is_socket(path):
                return Address(f"unix://{path}")
    for directory in places.specs:
        for suffix in _SUFFIXES:
            for path in (directory / f"{name}{suffix}", directory / name / f"{name}{suffix}"):
                if path.is_file():
                    return _read_spec(path)
    return None


def names(places: Places) -> list[str]:
    """Return the names of all plugins that are there, sorted."""
    found = {name for directory in places.sockets for name in _names(directory, (".sock",))}
    found |= {name for directory in places.specs for name in _names(directory, _SUFFIXES)}
    return sorted(found)


def _names(directory: Path, suffixes: Sequence[str]) -> Iterator[str]:
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    for entry in entries:
        path = Path(entry.name)
        if path.suffix in suffixes:
            yield path.stem
        elif any((directory / entry.name / f"{entry.name}{s}").exists() for s in suffixes):
            yield entry.name


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _read_spec(path: Path) -> Address:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SPEC)
        if path.suffix == ".json":
            spec = msgspec.json.decode(content, type=_Spec)
            return _checked(path, Address(spec.address, spec.tls))
        return _checked(path, Address(content.decode().strip()))
    except (OSError, ValueError) as error:
        raise InvalidSpec(path, str(error)) from error


def _checked(path: Path, address: Address) -> Address:
    scheme, separator, rest = address.url.partition("://")
    if not separator or not rest:
        raise InvalidSpec(path, "Unknown protocol")
    if scheme not in _SCHEMES:
        raise InvalidSpec(path, f"unsupported protocol scheme {scheme!r}")
    return address
