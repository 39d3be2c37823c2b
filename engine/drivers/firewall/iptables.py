"""The firewall backend `iptables`: chains of our own, each change one `iptables-restore --noflush` for a family.

The host's own programs are run, so rules land where the host keeps its own, be it the legacy tables or nf_tables;
python-iptables knows the legacy ones only.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence

from engine.drivers.firewall import iptables_script as script
from engine.drivers.firewall.rules import BridgeRules, PortRule
from engine.drivers.linux import proc

_PROGRAMS = {4: "iptables", 6: "ip6tables"}


class IptablesFirewall:
    """One daemon's rules in its own chains. Calls are done one after the other."""

    name = "iptables"

    def __init__(self, name: str, *, ipv6: bool = True) -> None:
        """`name` tells this daemon's chains from others'. Raises FileNotFoundError where there is no iptables."""
        if shutil.which("iptables-restore") is None:
            raise FileNotFoundError("iptables is not installed")
        self._mark = script.mark_of(name)
        self._versions = (4, 6) if ipv6 and shutil.which("ip6tables-restore") else (4,)
        self._bridges: dict[str, BridgeRules] = {}
        self._ports: set[PortRule] = set()
        self._lock = asyncio.Lock()

    async def replace(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule]) -> None:
        """Make these the rules, and no others."""
        async with self._lock:
            for version in self._versions:
                rules = script.skeleton(self._mark, version, await _saved(version))
                for bridge in bridges:
                    script.add_bridge(rules, self._mark, bridge, version)
                script.ports(rules, self._mark, ports, version, "-A")
                await _restore(version, rules)
        self._bridges = {b.bridge: b for b in bridges}
        self._ports = set(ports)

    async def add_bridge(self, bridge: BridgeRules) -> None:
        """Let a bridge's traffic pass as it is to. One that has rules gets them anew."""
        await self.remove_bridge(bridge)
        await self._apply(lambda rules, version: script.add_bridge(rules, self._mark, bridge, version))
        self._bridges[bridge.bridge] = bridge

    async def remove_bridge(self, bridge: BridgeRules) -> None:
        """Remove a bridge's rules."""
        present = self._bridges.pop(bridge.bridge, None)
        if present is not None:
            await self._apply(lambda rules, version: script.remove_bridge(rules, self._mark, present, version))

    async def publish(self, ports: Sequence[PortRule]) -> None:
        """Add published ports."""
        await self._apply(lambda rules, version: script.ports(rules, self._mark, ports, version, "-A"))
        self._ports.update(ports)

    async def unpublish(self, ports: Sequence[PortRule]) -> None:
        """Remove published ports; those that are not there are no error."""
        present = [p for p in ports if p in self._ports]
        self._ports.difference_update(present)
        await self._apply(lambda rules, version: script.ports(rules, self._mark, present, version, "-D"))

    async def clear(self) -> None:
        """Remove all of this daemon's rules."""
        async with self._lock:
            for version in self._versions:
                await _restore(version, script.removal(self._mark, await _saved(version)))

    async def drop_forwarded(self, versions: Sequence[int]) -> None:
        """Let nothing be routed that no rule lets through: the policy of FORWARD, as dockerd sets it."""
        for version in set(versions) & set(self._versions):
            await proc.check([_PROGRAMS[version], "--wait", "-P", "FORWARD", "DROP"])

    def close(self) -> None:
        """Do nothing: the rules stay."""

    async def _apply(self, fill: Callable[[script.RuleSet, int], None]) -> None:
        async with self._lock:
            for version in self._versions:
                rules = script.RuleSet()
                fill(rules, version)
                await _restore(version, rules)


async def _saved(version: int) -> str:
    """Return the present rules. Raises ProgramFailed."""
    return (await proc.check([f"{_PROGRAMS[version]}-save"])).stdout.decode(errors="replace")


async def _restore(version: int, rules: script.RuleSet) -> None:
    """Apply rules in one transaction for each table. Raises ProgramFailed."""
    text = rules.text()
    if text:
        await proc.check([f"{_PROGRAMS[version]}-restore", "--noflush", "--wait"], stdin=text.encode())
