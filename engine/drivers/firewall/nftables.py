"""The firewall backend `nftables`: a table of our own for each family, changed in transactions through libnftables."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from engine.drivers.firewall import nft_script
from engine.drivers.firewall.libnftables import Nftables
from engine.drivers.firewall.rules import BridgeRules, PortRule


class NftablesFirewall:
    """One daemon's rules in its own table. Calls are done one after the other, in a thread of the firewall's own."""

    name = "nftables"

    def __init__(self, table: str) -> None:
        """`table` names the daemon's tables. Raises NftablesUnavailable."""
        self._table = table
        self._nft = Nftables()
        self._bridges: dict[str, BridgeRules] = {}
        self._ports: set[PortRule] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nftables")

    async def replace(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule]) -> None:
        """Make these the rules, and no others."""
        await self._run(nft_script.whole_script(self._table, bridges, ports))
        self._bridges = {b.bridge: b for b in bridges}
        self._ports = set(ports)

    async def add_bridge(self, bridge: BridgeRules) -> None:
        """Let a bridge's traffic pass as it is to. One that has rules gets them anew."""
        present = self._bridges.get(bridge.bridge)
        before = nft_script.bridge_script(self._table, present, "delete") if present else ""
        await self._run(before + nft_script.bridge_script(self._table, bridge, "add"))
        self._bridges[bridge.bridge] = bridge

    async def remove_bridge(self, bridge: BridgeRules) -> None:
        """Remove a bridge's rules."""
        present = self._bridges.pop(bridge.bridge, None)
        if present is not None:
            await self._run(nft_script.bridge_script(self._table, present, "delete"))

    async def publish(self, ports: Sequence[PortRule]) -> None:
        """Add published ports."""
        await self._run(nft_script.ports_script(self._table, ports, "add"))
        self._ports.update(ports)

    async def unpublish(self, ports: Sequence[PortRule]) -> None:
        """Remove published ports; those that are not there are no error."""
        present = [p for p in ports if p in self._ports]
        self._ports.difference_update(present)
        await self._run(nft_script.ports_script(self._table, present, "delete"))

    async def clear(self) -> None:
        """Remove all of this daemon's rules."""
        self._bridges.clear()
        self._ports.clear()
        await self._run(nft_script.clear_script(self._table))

    async def _run(self, commands: str) -> None:
        if commands:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._run_now, commands)

    def _run_now(self, commands: str) -> None:
        """Blocks; call in a thread."""
        self._nft.run(commands)

    def close(self) -> None:
        """Release the library; the rules stay."""
        self._thread.shutdown()
        self._nft.close()
