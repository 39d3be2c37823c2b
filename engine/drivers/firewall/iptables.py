"""The firewall backend `iptables`: chains of our own, each change one `iptables-restore --noflush` for a family.

The host's own programs are run, so rules land where the host keeps its own, be it the legacy tables or nf_tables;
python-iptables knows the legacy ones only.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from engine.drivers.firewall import iptables_program as program
from engine.drivers.firewall import iptables_script as script
from engine.drivers.firewall.rules import BridgeRules, PortRule
from engine.drivers.firewall.watch import RulesWatch, taken_from_iptables
from engine.drivers.linux.proc import ProgramFailed

log = logging.getLogger(__name__)
_SETTLING = 0.2  # seconds from a removal to the look whether the rules are there again
_PERIOD = 10.0  # seconds between looks where nobody tells of removals: at the legacy tables


class IptablesFirewall:
    """One daemon's rules in its own chains. Calls are done one after the other."""

    name = "iptables"

    def __init__(self, name: str, *, ipv6: bool = True) -> None:
        """`name` tells this daemon's chains from others'. Raises FileNotFoundError where there is no iptables."""
        self._versions = [v for v in program.versions() if v == 4 or ipv6]
        if 4 not in self._versions:
            raise FileNotFoundError("iptables is not installed")
        self._mark = script.mark_of(name)
        self._bridges: dict[str, BridgeRules] = {}
        self._ports: set[PortRule] = set()
        self._lock = asyncio.Lock()
        self._watch: RulesWatch | None = None
        self._check: asyncio.Task[None] | None = None

    async def replace(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule]) -> None:
        """Make these the rules, and no others."""
        async with self._lock:
            for version in self._versions:
                rules = script.skeleton(self._mark, version, await program.saved(version))
                for bridge in bridges:
                    script.add_bridge(rules, self._mark, bridge, version)
                script.ports(rules, self._mark, ports, version, "-A")
                await program.restore(version, rules)
        self._bridges = {b.bridge: b for b in bridges}
        self._ports = set(ports)
        self._begin_to_watch()

    def _begin_to_watch(self) -> None:
        if self._watch is None and program.uses_nf_tables():
            self._watch = RulesWatch(taken_from_iptables, self._suspect)
        elif self._watch is None and self._check is None:
            self._check = asyncio.get_running_loop().create_task(self._look_now_and_then(), name="iptables-check")

    async def add_bridge(self, bridge: BridgeRules) -> None:
        """Let a bridge's traffic pass as it is to. One that has rules gets them anew."""
        await self.remove_bridge(bridge)
        await self._apply(lambda rules, version: script.add_bridge(rules, self._mark, bridge, version))
        self._bridges[bridge.bridge] = bridge

    async def remove_bridge(self, bridge: BridgeRules) -> None:
        """Remove a bridge's rules."""
        present = self._bridges.pop(bridge.bridge, None)
        if present is not None:
            await self._withdraw(lambda rules, version: script.remove_bridge(rules, self._mark, present, version))

    async def publish(self, ports: Sequence[PortRule]) -> None:
        """Add published ports."""
        await self._apply(lambda rules, version: script.ports(rules, self._mark, ports, version, "-A"))
        self._ports.update(ports)

    async def unpublish(self, ports: Sequence[PortRule]) -> None:
        """Remove published ports; those that are not there are no error."""
        present = [p for p in ports if p in self._ports]
        self._ports.difference_update(present)
        await self._withdraw(lambda rules, version: script.ports(rules, self._mark, present, version, "-D"))

    async def clear(self) -> None:
        """Remove all of this daemon's rules."""
        async with self._lock:
            for version in self._versions:
                await program.restore(version, script.removal(self._mark, await program.saved(version)))

    async def drop_forwarded(self, versions: Sequence[int]) -> None:
        """Let nothing be routed that no rule lets through: the policy of FORWARD, as dockerd sets it."""
        for version in set(versions) & set(self._versions):
            await program.drop_forwarded(version)

    async def _apply(self, fill: Callable[[script.RuleSet, int], None]) -> None:
        async with self._lock:
            for version in self._versions:
                rules = script.RuleSet()
                fill(rules, version)
                await program.restore(version, rules)

    async def _withdraw(self, fill: Callable[[script.RuleSet, int], None]) -> None:
        """Remove rules, even where another program was quicker."""
        try:
            await self._apply(fill)
        except ProgramFailed:
            if await self._all_there():
                raise
            await self.replace(list(self._bridges.values()), list(self._ports))

    def _suspect(self) -> None:
        """Rules were removed: by ourselves, to be made anew in the same breath, or by somebody else."""
        if self._check is None or self._check.done():
            self._check = asyncio.get_running_loop().create_task(self._look(), name="iptables-check")

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD)
            await self._look()

    async def _look(self) -> None:
        await asyncio.sleep(_SETTLING)
        try:
            if await self._all_there():
                return
            log.warning("the firewall rules were removed by another program and are set again")
            await self.replace(list(self._bridges.values()), list(self._ports))
        except OSError as error:
            log.error("the firewall rules cannot be set again: %s", error)

    async def _all_there(self) -> bool:
        async with self._lock:
            found = [script.is_complete(self._mark, await program.saved(v)) for v in self._versions]
        return all(found)

    def close(self) -> None:
        """Look no more; the rules stay."""
        if self._watch is not None:
            self._watch.close()
        if self._check is not None:
            self._check.cancel()
