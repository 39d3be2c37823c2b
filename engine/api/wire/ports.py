"""Published ports, as `ps` and `inspect` show them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.core.model.network import PortBinding


def encode_ports(ports: Mapping[str, Sequence[PortBinding] | None]) -> list[dict[str, Any]]:
    """Return one object for each binding of a port, and for each port that is exposed and not published."""
    result = []
    for protocol, number, bindings in sorted(_numbered(ports), key=lambda p: (p[0], int(p[1]))):
        private = {"PrivatePort": int(number)}
        kind = {"Type": protocol}
        if not bindings:
            result.append({**private, **kind})
        for binding in bindings or ():
            public = {"PublicPort": int(binding.host_port)} if binding.host_port.isdecimal() else {}
            address = {"IP": binding.host_ip} if binding.host_ip else {}
            result.append({**address, **private, **public, **kind})
    return result


def _numbered(
    ports: Mapping[str, Sequence[PortBinding] | None],
) -> Iterator[tuple[str, str, Sequence[PortBinding] | None]]:
    for port, bindings in ports.items():
        number, _, protocol = port.partition("/")
        if number.isdecimal():
            yield protocol or "tcp", number, bindings


def encode_bindings(ports: Mapping[str, Sequence[PortBinding] | None]) -> dict[str, list[dict[str, str]] | None]:
    """Return the bindings by port, null for one that is exposed and not published."""
    return {
        port: [{"HostIp": b.host_ip, "HostPort": b.host_port} for b in bindings] if bindings else None
        for port, bindings in ports.items()
    }
