"""What a firewall backend is asked for. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Entry(StrEnum):
    """What of a bridge's containers is reached from outside at their own addresses, beside what is published."""

    NOTHING = "nothing"
    PORTS = "ports"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class BridgeRules:
    """A bridge and what may pass it.

    `masqueraded`: the subnets (`172.17.0.0/16`, IPv6 ones too) whose containers reach the outside under the address of
    the way out, or under the one of the host that `sources` has for them. Internal: nothing in or out. Without `icc`
    containers do not reach one another. `entry` says by family (4, 6) what is reached from everywhere; from the
    interfaces that are trusted, open ports are reached in any case. What comes from other bridges of ours reaches no
    more than ports.
    """

    bridge: str
    masqueraded: tuple[str, ...] = ()
    internal: bool = False
    icc: bool = True
    entry: Mapping[int, Entry] = field(default_factory=dict)
    trusted: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PortRule:
    """A port of the host that leads to a port of a container. An empty host address stands for all of the family.

    With the host port 0 nothing leads there: the container's port is open at its own address, as its bridge allows.
    With a `source` it is open to that address of the same `bridge`, whose containers reach no others of it.
    """

    protocol: str
    host_address: str
    host_port: int
    container_address: str
    container_port: int
    source: str = ""
    bridge: str = ""

    @property
    def ipv6(self) -> bool:
        """Tell the family."""
        return ":" in self.container_address


class Firewall(Protocol):
    """One daemon's rules. Each call is one transaction: all of it or, with OSError, nothing."""

    name: str

    async def replace(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule]) -> None:
        """Make these the rules, and no others."""

    async def add_bridge(self, bridge: BridgeRules) -> None:
        """Let a bridge's traffic pass as it is to. One that has rules gets them anew."""

    async def remove_bridge(self, bridge: BridgeRules) -> None:
        """Remove a bridge's rules."""

    async def publish(self, ports: Sequence[PortRule]) -> None:
        """Add published ports."""

    async def unpublish(self, ports: Sequence[PortRule]) -> None:
        """Remove published ports; those that are not there are no error."""

    async def clear(self) -> None:
        """Remove all of this daemon's rules."""

    async def drop_forwarded(self, versions: Sequence[int]) -> None:
        """Let nothing be routed in these families (4, 6) that no rule lets through. Raises OSError."""

    def close(self) -> None:
        """Release what the backend holds; the rules stay."""


class NoFirewall:
    """`--iptables=false`: no rules; published ports are then the user's business."""

    name = "none"

    async def replace(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule]) -> None:
        """Do nothing."""

    async def add_bridge(self, bridge: BridgeRules) -> None:
        """Do nothing."""

    async def remove_bridge(self, bridge: BridgeRules) -> None:
        """Do nothing."""

    async def publish(self, ports: Sequence[PortRule]) -> None:
        """Do nothing."""

    async def unpublish(self, ports: Sequence[PortRule]) -> None:
        """Do nothing."""

    async def clear(self) -> None:
        """Do nothing."""

    async def drop_forwarded(self, versions: Sequence[int]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
