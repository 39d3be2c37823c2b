"""What a firewall backend is asked for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class BridgeRules:
    """A bridge and what may pass it.

    `subnets` are those of its containers (`172.17.0.0/16`, IPv6 ones too). Masquerade: containers reach the outside
    under the host's address. Internal: nothing in or out. Without `icc` containers do not reach one another.
    """

    bridge: str
    subnets: tuple[str, ...]
    masquerade: bool = True
    internal: bool = False
    icc: bool = True


@dataclass(frozen=True, slots=True)
class PortRule:
    """A port of the host that leads to a port of a container. An empty host address stands for all of the family."""

    bridge: str
    protocol: str
    host_address: str
    host_port: int
    container_address: str
    container_port: int

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

    def close(self) -> None:
        """Do nothing."""
