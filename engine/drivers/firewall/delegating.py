"""A backend that leaves to another what it does not do itself."""

from collections.abc import Sequence

from engine.drivers.firewall.rules import BridgeRules, Firewall, PortRule


class Delegating:
    """Hands everything on; for those to inherit from that add something."""

    def __init__(self, inner: Firewall) -> None:
        self._inner = inner
        self.name = inner.name

    async def replace(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule]) -> None:
        """Make these the rules, and no others."""
        await self._inner.replace(bridges, ports)

    async def add_bridge(self, bridge: BridgeRules) -> None:
        """Let a bridge's traffic pass as it is to."""
        await self._inner.add_bridge(bridge)

    async def remove_bridge(self, bridge: BridgeRules) -> None:
        """Remove a bridge's rules."""
        await self._inner.remove_bridge(bridge)

    async def publish(self, ports: Sequence[PortRule]) -> None:
        """Add published ports."""
        await self._inner.publish(ports)

    async def unpublish(self, ports: Sequence[PortRule]) -> None:
        """Remove published ports; those that are not there are no error."""
        await self._inner.unpublish(ports)

    async def clear(self) -> None:
        """Remove all of this daemon's rules."""
        await self._inner.clear()

    async def drop_forwarded(self, versions: Sequence[int]) -> None:
        """Let nothing be routed that no rule lets through."""
        await self._inner.drop_forwarded(versions)

    def close(self) -> None:
        """Release what the backend holds; the rules stay."""
        self._inner.close()
