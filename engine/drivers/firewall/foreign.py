"""Rules of others that would drop what ours let pass: nf_tables asks every table, and each may drop.

Where iptables has rules or a policy for forwarded packets (another dockerd, ufw), our bridges' packets are let through
there, behind DOCKER-USER; our own table still judges them. Rules of ours are known by their comment.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from engine.drivers.firewall.nft import Nftables, RulesRefused
from engine.drivers.firewall.nft_script import FAMILIES

_CHAIN = "filter FORWARD"
_ATTEMPTS = 5


def let_through(nft: Nftables, mark: str, bridges: Iterable[str]) -> None:
    """Let packets of these bridges through, and of no others of ours. Raises RulesRefused. Blocks; call in a thread."""
    names = sorted(bridges)
    for family in FAMILIES:
        for attempt in range(_ATTEMPTS):
            try:
                _let_through(nft, family, mark, names)
                break
            except RulesRefused:
                # The chain is others': they may have changed it between our look and our change.
                if attempt == _ATTEMPTS - 1:
                    raise


def _let_through(nft: Nftables, family: str, mark: str, names: list[str]) -> None:
    try:
        listed = nft.query(f"list chain {family} {_CHAIN}")
    except RulesRefused:  # There is no such chain.
        return
    commands = script(family, mark, names, msgspec.json.decode(listed)["nftables"])
    if commands:
        nft.run(commands)


def asks_user(nft: Nftables, version: int) -> bool:
    """Tell whether iptables' chain asks DOCKER-USER. Blocks; call in a thread."""
    try:
        listed = nft.query(f"list chain {FAMILIES[version == 6]} {_CHAIN}")
    except RulesRefused:  # There is no such chain.
        return False
    rules = (item["rule"] for item in msgspec.json.decode(listed)["nftables"] if "rule" in item)
    return any(_jumps_to(rule, "DOCKER-USER") for rule in rules)


def drop_policy(version: int) -> str:
    """Return the commands that let iptables' chain for forwarded packets drop what no rule lets through. Pure."""
    at = f"{FAMILIES[version == 6]} filter"
    return f"add table {at}\nadd chain {at} FORWARD {{ type filter hook forward priority filter; policy drop; }}\n"


def script(family: str, mark: str, bridges: list[str], listed: list[dict[str, Any]]) -> str:
    """Return the commands for a family, given what `list chain` says of iptables' chain. Pure.

    Only what differs is changed: a host has many networks.
    """
    policy = next((i["chain"].get("policy") for i in listed if "chain" in i), "accept")
    rules = [item["rule"] for item in listed if "rule" in item]
    ours = {_side(r): r["handle"] for r in rules if r.get("comment") == mark}
    others = [r for r in rules if r.get("comment") != mark]
    needed = policy == "drop" or any(not _jumps_to(r, "DOCKER-USER") for r in others)
    wanted = [(side, bridge) for bridge in bridges for side in ("iifname", "oifname")] if needed else []
    lines = [f"delete rule {family} {_CHAIN} handle {ours[side]}" for side in ours if side not in wanted]
    behind = next((r["handle"] for r in others if _jumps_to(r, "DOCKER-USER")), None)
    where = f"add rule {family} {_CHAIN} position {behind}" if behind else f"insert rule {family} {_CHAIN}"
    lines += [f'{where} {s} "{b}" accept comment "{mark}"' for s, b in wanted if (s, b) not in ours]
    return "\n".join(lines) + "\n" if lines else ""


def _side(rule: dict[str, Any]) -> tuple[str, str]:
    """Return which way through which bridge a rule of ours is about."""
    match: dict[str, Any] = next((e["match"] for e in rule.get("expr", []) if isinstance(e, dict) and "match" in e), {})
    left = match.get("left", {}).get("meta", {}) if isinstance(match.get("left"), dict) else {}
    return str(left.get("key", "")), str(match.get("right", ""))


def _jumps_to(rule: dict[str, Any], chain: str) -> bool:
    return any(e.get("jump", {}).get("target") == chain for e in rule.get("expr", []) if isinstance(e, dict))
