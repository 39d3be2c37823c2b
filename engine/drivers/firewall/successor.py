"""A backend in place of another that an earlier daemon may have used: its rules go when ours are in force."""

import logging
from collections.abc import Sequence

from engine.drivers.firewall.delegating import Delegating
from engine.drivers.firewall.rules import BridgeRules, Firewall, PortRule

log = logging.getLogger(__name__)


class Successor(Delegating):
    """The backend `present`, which clears away what `former` left when it first sets its rules."""

    def __init__(self, present: Firewall, former: Firewall) -> None:
        super().__init__(present)
        self._former: Firewall | None = former

    async def replace(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule]) -> None:
        """Make these the rules, and no others."""
        await super().replace(bridges, ports)
        former, self._former = self._former, None
        if former is None:
            return
        try:
            await former.clear()
        except OSError as error:
            log.warning("rules of the firewall backend %s may be left: %s", former.name, error)
        former.close()

    def close(self) -> None:
        """Release what the backends hold; the rules stay."""
        super().close()
        if self._former is not None:
            self._former.close()
