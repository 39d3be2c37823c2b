"""Legacy links: what a container on the default bridge learns of those that `--link` names. Pure.

A link is the text `name:alias` in the host configuration of the container that has it, its parent. `parent/alias` is
one more name of the container that is linked to. The variables and their order are dockerd's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from engine.core import ids
from engine.core.model.container import Container, HostConfig

DEFAULT_BRIDGE = "bridge"
_UNIMPORTANT = ("HOME", "PATH")  # What a build sets, and nobody who links needs.
_BUILT_IN = ("bridge", "host", "none", "default", "")


@dataclass(frozen=True, slots=True)
class Link:
    """A container that another one links to, the alias it has there, and its address on the default bridge."""

    alias: str
    target: Container
    address: str


def uses_links(host_config: HostConfig) -> bool:
    """Networks of the user's own have links of their own kind, and so has a container without a network."""
    return host_config.network_mode in _BUILT_IN


def aliases(host_config: HostConfig) -> dict[str, str]:
    """Return the name of the container that each alias stands for; the first link of an alias counts."""
    result: dict[str, str] = {}
    for text in host_config.links or ():
        name, _, alias = text.partition(":")
        result.setdefault(alias, name)
    return result


def as_texts(targets: Mapping[str, str]) -> list[str] | None:
    """Return links as the record keeps them: the reverse of `aliases`, in the order that inspect shows."""
    return sorted(f"{name}:{alias}" for alias, name in targets.items()) or None


def names_by_target(containers: Iterable[Container]) -> dict[str, list[str]]:
    """Return the names `parent/alias` that containers have by links to them, by their own names."""
    result: dict[str, list[str]] = {}
    for parent in containers:
        for alias, target in aliases(parent.host_config).items():
            result.setdefault(target, []).append(f"{parent.name}/{alias}")
    return result


def retargeted(host_config: HostConfig, old: str, new: str) -> HostConfig | None:
    """Return a parent's configuration after a container that it links to was renamed; None: it does not."""
    targets = aliases(host_config)
    if old not in targets.values():
        return None
    return with_targets(host_config, {alias: new if name == old else name for alias, name in targets.items()})


def without(host_config: HostConfig, alias: str) -> HostConfig:
    """Return a parent's configuration without one of its links."""
    return with_targets(host_config, {a: name for a, name in aliases(host_config).items() if a != alias})


def with_targets(host_config: HostConfig, targets: Mapping[str, str]) -> HostConfig:
    """Return a parent's configuration with these links."""
    return msgspec.structs.replace(host_config, links=as_texts(targets))


def host_entry(link: Link) -> tuple[str, str]:
    """Return the line in the parent's /etc/hosts: address and names."""
    target = link.target
    return link.address, " ".join(dict.fromkeys((link.alias, ids.short(target.id), target.name)))


def with_address(hosts: str, name: str, address: str) -> str:
    """Return the text of /etc/hosts with a new address where the first name is `name`."""
    return re.sub(rf"(?m)^\S*(\t{re.escape(name)}(?:\s|\.))", lambda found: address + found[1], hosts)


def environment(parent: Container, link: Link) -> list[str]:
    """Return the variables that tell the parent of one link."""
    prefix = link.alias.rpartition("/")[2].upper().replace("-", "_")
    variables = [*_port_variables(prefix, link), f"{prefix}_NAME=/{parent.name}/{link.alias}"]
    for entry in link.target.config.env or ():
        name, equals, _ = entry.partition("=")
        if equals and name not in _UNIMPORTANT:
            variables.append(f"{prefix}_ENV_{entry}")
    return variables


def _port_variables(prefix: str, link: Link) -> list[str]:
    ports = sorted(_ports(link.target.config.exposed_ports or ()), key=lambda p: (p[0], p[1] != "tcp"))
    result: list[str] = []
    for number, protocol in ports:
        url = f"{protocol}://{link.address}:{number}"
        if not result:
            result.append(f"{prefix}_PORT={url}")
        name = f"{prefix}_PORT_{number}_{protocol.upper()}"
        result += [f"{name}={url}", f"{name}_ADDR={link.address}", f"{name}_PORT={number}", f"{name}_PROTO={protocol}"]
    for (first, protocol), (last, _) in _ranges(ports):
        name, url = f"{prefix}_PORT_{first}_{protocol.upper()}", f"{protocol}://{link.address}"
        result += [f"{name}_START={url}:{first}", f"{name}_PORT_START={first}"]
        result += [f"{name}_END={url}:{last}", f"{name}_PORT_END={last}"]
    return result


def _ports(exposed: Iterable[str]) -> Iterator[tuple[int, str]]:
    for text in exposed:
        number, _, protocol = text.partition("/")
        if number.isdecimal():
            yield int(number), (protocol or "tcp").lower()


def _ranges(ports: Iterable[tuple[int, str]]) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
    """Return the first and the last of each run of ports that follow each other."""
    start: tuple[int, str] | None = None
    end: tuple[int, str] | None = None
    for port in ports:
        if end is not None and port == (end[0] + 1, end[1]):
            end = port
            continue
        if start is not None and end is not None and start != end:
            yield start, end
        start = end = port
    if start is not None and end is not None and start != end:
        yield start, end
