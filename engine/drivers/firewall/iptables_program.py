"""The host's own iptables programs: they put rules where the host keeps its own, in the legacy tables or nf_tables."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from engine.drivers.firewall.iptables_script import RuleSet, user_chain
from engine.drivers.linux import proc

_PROGRAMS = {4: "iptables", 6: "ip6tables"}


def versions() -> Sequence[int]:
    """Return the families (4, 6) that the host has programs for."""
    return tuple(v for v, program in _PROGRAMS.items() if shutil.which(f"{program}-restore"))


def uses_nf_tables() -> bool:
    """Tell whether the programs keep rules in nf_tables, changes of which the kernel tells everybody."""
    program = shutil.which("iptables")
    return program is not None and "nft" in Path(program).resolve().name


async def saved(version: int) -> str:
    """Return the present rules. Raises ProgramFailed."""
    return (await proc.check([f"{_PROGRAMS[version]}-save"])).stdout.decode(errors="replace")


async def restore(version: int, rules: RuleSet) -> None:
    """Apply rules in one transaction for each table. Raises ProgramFailed."""
    text = rules.text()
    if text:
        await proc.check([f"{_PROGRAMS[version]}-restore", "--noflush", "--wait"], stdin=text.encode())


async def drop_forwarded(version: int) -> None:
    """Set the policy of FORWARD, as dockerd does. Raises ProgramFailed."""
    await proc.check([_PROGRAMS[version], "--wait", "-P", "FORWARD", "DROP"])


async def ensure_user_chain(version: int) -> None:
    """Make DOCKER-USER, where users put what is to be asked before anything of ours. Raises ProgramFailed."""
    rules = RuleSet()
    user_chain(rules, await saved(version))
    await restore(version, rules)
