"""A backend on a host where firewalld runs, which judges forwarded packets as well and drops what no zone accepts.

As with dockerd, bridges are in a zone `docker`, which accepts everything, and a policy lets all zones in: what passes
is for our own rules to say. A reload of firewalld forgets the bridges; the kernel tells of it, and they are added anew.
"""

import asyncio
import logging
import shutil
from collections.abc import Sequence

from engine.drivers.firewall.delegating import Delegating
from engine.drivers.firewall.rules import BridgeRules, Firewall, PortRule
from engine.drivers.firewall.watch import RulesWatch, taken_from_table
from engine.drivers.linux import proc

log = logging.getLogger(__name__)
_ZONE, _POLICY = "docker", "docker-forwarding"
# Seconds from the removal of firewalld's rules to the first question whether it is there again, and to more of them.
_SETTLING = (0.5, 1.0, 2.0, 4.0)
_MAKE_ZONE = (("--new-zone", _ZONE), ("--zone", _ZONE, "--set-target", "ACCEPT"))
_MAKE_POLICY = (
    ("--new-policy", _POLICY),
    ("--policy", _POLICY, "--set-target", "ACCEPT"),
    ("--policy", _POLICY, "--add-ingress-zone", "ANY"),
    ("--policy", _POLICY, "--add-egress-zone", _ZONE),
)


class BesideFirewalld(Delegating):
    """A backend whose bridges firewalld lets be, as long as it runs. What firewalld refuses is a warning in the log."""

    def __init__(self, inner: Firewall) -> None:
        super().__init__(inner)
        self._bridges: set[str] = set()
        self._runs = False
        self._lock = asyncio.Lock()
        self._watch: RulesWatch | None = None
        self._joining: asyncio.Task[None] | None = None

    async def replace(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule]) -> None:
        """Make these the rules, and no others; firewalld hears of them in the background."""
        await super().replace(bridges, ports)
        self._bridges = {each.bridge for each in bridges}
        if self._watch is None:
            self._watch = RulesWatch(taken_from_table("firewalld"), self._forgotten)
        self._join((0,))

    async def add_bridge(self, bridge: BridgeRules) -> None:
        """Let a bridge's traffic pass as it is to."""
        await super().add_bridge(bridge)
        if bridge.bridge not in self._bridges:
            self._bridges.add(bridge.bridge)
            await self._tell("--change-interface", [bridge.bridge])

    async def remove_bridge(self, bridge: BridgeRules) -> None:
        """Remove a bridge's rules."""
        await super().remove_bridge(bridge)
        if bridge.bridge in self._bridges:
            self._bridges.discard(bridge.bridge)
            await self._tell("--remove-interface", [bridge.bridge])

    def _forgotten(self) -> None:
        """firewalld's rules were removed: it is reloaded, started or ended; this comes several times each."""
        if self._joining is not None:
            self._joining.cancel()
        self._join(_SETTLING)

    def _join(self, delays: Sequence[float]) -> None:
        self._joining = asyncio.get_running_loop().create_task(self._let_in_all(delays), name="firewalld-zone")

    async def _let_in_all(self, delays: Sequence[float]) -> None:
        for delay in delays:
            await asyncio.sleep(delay)
            self._runs = (await proc.run(["firewall-cmd", "--state"])).returncode == 0
            if self._runs:
                async with self._lock:
                    await _ensure_zone()
                await self._tell("--change-interface", sorted(self._bridges))
                return

    async def _tell(self, change: str, bridges: Sequence[str]) -> None:
        if self._runs and bridges:
            async with self._lock:
                await _command("--zone", _ZONE, *(f"{change}={name}" for name in bridges))

    def close(self) -> None:
        """Stop watching; the rules and the zone stay."""
        if self._watch is not None:
            self._watch.close()
        if self._joining is not None:
            self._joining.cancel()
        super().close()


def is_installed() -> bool:
    """Tell whether the host has firewalld, running or not."""
    return shutil.which("firewall-cmd") is not None


async def _ensure_zone() -> None:
    """Make what is missing of the zone and the policy, for good; firewalld knows what is new once it is reloaded."""
    missing = [
        command
        for kind, name, commands in (("zones", _ZONE, _MAKE_ZONE), ("policies", _POLICY, _MAKE_POLICY))
        if name not in await _command(f"--get-{kind}")
        for command in commands
    ]
    for command in missing:
        await _command("--permanent", *command)
    if missing:
        await _command("--reload")


async def _command(*arguments: str) -> Sequence[str]:
    """Run `firewall-cmd`, and return the words that it says."""
    done = await proc.run(["firewall-cmd", *arguments])
    if done.returncode:
        log.warning("firewall-cmd %s: %s", " ".join(arguments), done.error)
    return done.stdout.decode(errors="replace").split()
