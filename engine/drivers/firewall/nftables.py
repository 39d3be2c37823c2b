"""The firewall backend `nftables`: a table of our own for each family, changed in transactions."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from engine.drivers.firewall import foreign, iptables_program, nft_script
from engine.drivers.firewall.nft import Nftables, RulesRefused
from engine.drivers.firewall.rules import BridgeRules, PortRule
from engine.drivers.firewall.watch import RulesWatch, either, taken_from_iptables, taken_from_table

log = logging.getLogger(__name__)
_SETTLING = 0.2  # seconds from a removal to the look whether the table is there again


class NftablesFirewall:
    """One daemon's rules in its own table. Calls are done one after the other, in a thread of the firewall's own."""

    name = "nftables"

    def __init__(self, table: str, *, ipv6: bool = True) -> None:
        """`table` names the daemon's tables; without `ipv6` there is one for IPv4 only. Raises NftablesUnavailable."""
        self._script = nft_script.Script(table, nft_script.FAMILIES if ipv6 else nft_script.FAMILIES[:1])
        self._mark = table
        self._nft = Nftables()
        self._bridges: dict[str, BridgeRules] = {}
        self._ports: set[PortRule] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nftables")
        self._watch: RulesWatch | None = None
        self._check: asyncio.Task[None] | None = None

    async def replace(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule]) -> None:
        """Make these the rules, and no others."""
        await self._run(self._script.whole(bridges, ports))
        self._bridges = {b.bridge: b for b in bridges}
        self._ports = set(ports)
        await self._ensure_user_chain()
        await self._let_through()
        if self._watch is None:
            self._watch = RulesWatch(either(taken_from_table(self._mark), taken_from_iptables), self._suspect)

    async def _ensure_user_chain(self) -> None:
        """Where the host has iptables, its users put rules into DOCKER-USER; nf_tables asks every table."""
        for version in iptables_program.versions():
            try:
                await iptables_program.ensure_user_chain(version)
            except OSError as error:
                log.warning("the chain DOCKER-USER cannot be made: %s", error)

    async def add_bridge(self, bridge: BridgeRules) -> None:
        """Let a bridge's traffic pass as it is to. One that has rules gets them anew."""
        present = self._bridges.get(bridge.bridge)
        before = self._script.bridge(present, "delete") if present else ""
        await self._run(before + self._script.bridge(bridge, "add"))
        self._bridges[bridge.bridge] = bridge
        await self._let_through()

    async def remove_bridge(self, bridge: BridgeRules) -> None:
        """Remove a bridge's rules."""
        present = self._bridges.pop(bridge.bridge, None)
        if present is not None:
            await self._run(self._script.bridge(present, "delete"))
            await self._let_through()

    async def publish(self, ports: Sequence[PortRule]) -> None:
        """Add published ports."""
        await self._run(self._script.ports(ports, "add"))
        self._ports.update(ports)

    async def unpublish(self, ports: Sequence[PortRule]) -> None:
        """Remove published ports; those that are not there are no error."""
        present = [p for p in ports if p in self._ports]
        self._ports.difference_update(present)
        await self._run(self._script.ports(present, "delete"))

    async def clear(self) -> None:
        """Remove all of this daemon's rules."""
        self._bridges.clear()
        self._ports.clear()
        await self._let_through()
        await self._run(self._script.clear())

    async def drop_forwarded(self, versions: Sequence[int]) -> None:
        """Let nothing be routed that no rule lets through: the policy of iptables' chain, where dockerd sets it."""
        await self._run("".join(foreign.drop_policy(version) for version in versions))

    async def _run(self, commands: str) -> None:
        if commands:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._nft.run, commands)

    def _suspect(self) -> None:
        """Rules of ours were removed: by ourselves, to be made anew in the same breath, or by somebody else."""
        if self._bridges and (self._check is None or self._check.done()):
            self._check = asyncio.get_running_loop().create_task(self._make_again(), name="nftables-check")

    async def _make_again(self) -> None:
        await asyncio.sleep(_SETTLING)
        if await asyncio.get_running_loop().run_in_executor(self._thread, self._is_there):
            if not await asyncio.get_running_loop().run_in_executor(self._thread, self._asks_user):
                await self._ensure_user_chain()
                await self._let_through()
            return
        log.warning("the firewall rules were removed by another program and are set again")
        try:
            await self.replace(list(self._bridges.values()), list(self._ports))
        except OSError as error:
            log.error("the firewall rules cannot be set again: %s", error)

    def _is_there(self) -> bool:
        """Blocks; call in a thread."""
        try:
            listed = self._nft.query(f"list chain ip {self._mark} forward")
        except RulesRefused:
            return False
        return any("rule" in item for item in msgspec.json.decode(listed)["nftables"])

    def _asks_user(self) -> bool:
        """Blocks; call in a thread."""
        if not iptables_program.uses_nf_tables():
            return True
        return all(foreign.asks_user(self._nft, version) for version in iptables_program.versions())

    async def _let_through(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._let_through_now, tuple(self._bridges))

    def _let_through_now(self, bridges: Iterable[str]) -> None:
        """Blocks; call in a thread."""
        foreign.let_through(self._nft, self._mark, bridges)

    def close(self) -> None:
        """Stop watching; the rules stay."""
        if self._watch is not None:
            self._watch.close()
        if self._check is not None:
            self._check.cancel()
        self._thread.shutdown()
