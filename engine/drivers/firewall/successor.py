"""A backend in place of another that an earlier daemon may have used: its rules go when ours are in force."""

import logging
from collections.abc import Sequence

from engine.drivers.firewall.rules import BridgeRules, Firewall, PortRule

log = logging.getLogger(__name__)


class Successor:
    """The backend `present`, which clears away what `former` left when it first sets its rules."""

    def __init__(self, present: Firewall, former: Firewall) -> None:
        self._present = present
        self._former: Firewall | None = former
        self.name = present.name

    async def replace(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule]) -> None:
        """Make these the rules, and no others."""
        await self._present.replace(bridges, ports)
        former, self._former = self._former, None
        if former is None:
            return
        try:
            await former.clear()
        except OSError as error:
            log.warning("rules of the firewall backend %s may be left: %s", former.name, error)
        former.close()

    async def add_bridge(self, bridge: BridgeRules) -> None:
        """Let a bridge's traffic pass as it is to."""
        await self._present.add_bridge(bridge)

    async def remove_bridge(self, bridge: BridgeRules) -> None:
        """Remove a bridge's rules."""
        await self._present.remove_bridge(bridge)

    async def publish(self, ports: Sequence[PortRule]) -> None:
        """Add published ports."""
        await self._present.publish(ports)

    async def unpublish(self, ports: Sequence[PortRule]) -> None:
        """Remove published ports; those that are not there are no error."""
        await self._present.unpublish(ports)

    async def clear(self) -> None:
        """Remove all of this daemon's rules."""
        await self._present.clear()

    async def drop_forwarded(self, versions: Sequence[int]) -> None:
        """Let nothing be routed that no rule lets through."""
        await self._present.drop_forwarded(versions)

    def close(self) -> None:
        """Release what the backends hold; the rules stay."""
        self._present.close()
        if self._former is not None:
            self._former.close()
