"""The rules of one daemon as input of `iptables-restore --noflush`. Pure.

They say what `nft_script.py` says, in chains whose names carry the daemon's mark: `<mark>-FWD` (from FORWARD, behind
DOCKER-USER), which asks `<mark>-INW` about what goes into a bridge and then `<mark>-OUT` about what comes from one;
`<mark>-PUB` (published ports), `<mark>-OPN` (ports open at containers' own addresses), `<mark>-ISO` (no way from any of
our bridges), `<mark>-LNK` (links between containers of one bridge), `<mark>-MSQ` (masquerading), `<mark>-RAW`, and for
each bridge `<mark>-I-<bridge>`.
"""

import hashlib
from collections.abc import Iterable, Sequence

from engine.drivers.firewall.rules import BridgeRules, Entry, PortRule

USER_CHAIN = "DOCKER-USER"
_LOOPBACK = {4: "127.0.0.0/8", 6: "::1/128"}
_CHAINS = {"raw": ("RAW",), "nat": ("PUB", "MSQ"), "filter": ("FWD", "INW", "OUT", "OPN", "ISO", "LNK")}
_ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED"
_ECHO = {4: "-p icmp", 6: "-p ipv6-icmp"}
_PUBLISHED = "-m conntrack --ctstate DNAT"


def mark_of(name: str) -> str:
    """Return what begins the names of a daemon's chains: short, since a chain's name has at most 28 characters."""
    return f"WHF-{hashlib.sha256(name.encode()).hexdigest()[:5]}"


class RuleSet:
    """Lines for iptables-restore, by table."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def add(self, table: str, *lines: str) -> None:
        """Append lines to a table's part."""
        self._lines.setdefault(table, []).extend(lines)

    def text(self) -> str:
        """Return the input, empty where there is nothing to do."""
        # A chain that is named at the beginning of a table's part is made, or emptied, before the rules are read.
        parts = [
            f"*{t}\n" + "\n".join(_chains_first(lines)) + "\nCOMMIT\n" for t, lines in self._lines.items() if lines
        ]
        return "".join(parts)


def _chains_first(lines: Sequence[str]) -> list[str]:
    chains = [line for line in lines if line.startswith(":")]
    kept = {f"-X {chain[1:].split(' ')[0]}" for chain in chains}
    return chains + [line for line in lines if not line.startswith(":") and line not in kept]


def skeleton(mark: str, version: int, saved: str) -> RuleSet:
    """Return the daemon's chains, empty, and the way into them; `saved`, the present rules, tells what has to go."""
    rules = RuleSet()
    present = _parse(saved)
    for table, chains in _CHAINS.items():
        rules.add(table, *(f":{mark}-{c} - [0:0]" for c in chains))
        _clear_away(rules, table, mark, present.get(table, []))
    loopback = _LOOPBACK[version]
    rules.add("raw", f"-A PREROUTING -j {mark}-RAW")
    local = f"-m addrtype --dst-type LOCAL -j {mark}-PUB"
    outgoing = local if version == 4 else f"! -d {loopback} {local}"  # ::1 cannot be translated: the relay serves it
    rules.add("nat", f"-A PREROUTING ! -d {loopback} {local}", f"-A OUTPUT {outgoing}", f"-A POSTROUTING -j {mark}-MSQ")
    rules.add("filter", f"-I FORWARD 1 -j {mark}-FWD")
    user_chain(rules, saved)
    rules.add("filter", f"-A {mark}-FWD -j {mark}-INW", f"-A {mark}-FWD -j {mark}-OUT")
    return rules


def user_chain(rules: RuleSet, saved: str) -> None:
    """Add the lines that make DOCKER-USER where it is not, and have FORWARD ask it first."""
    present = _parse(saved).get("filter", [])
    if f":{USER_CHAIN}" not in [line.split(" ")[0] for line in present]:
        rules.add("filter", f":{USER_CHAIN} - [0:0]")
    if f"-A FORWARD -j {USER_CHAIN}" in present:
        rules.add("filter", f"-D FORWARD -j {USER_CHAIN}")
    rules.add("filter", f"-I FORWARD 1 -j {USER_CHAIN}")


def is_complete(mark: str, saved: str) -> bool:
    """Tell whether the way into the daemon's chains is there, and what those chains do first."""
    present = _parse(saved)
    needed = {
        "raw": (f"-A PREROUTING -j {mark}-RAW",),
        "nat": (f"-A POSTROUTING -j {mark}-MSQ",),
        "filter": (f"-A FORWARD -j {mark}-FWD", f"-A FORWARD -j {USER_CHAIN}", f"-A {mark}-FWD -j {mark}-INW"),
    }
    jumps = sum(line.endswith(f"-j {mark}-PUB") for line in present.get("nat", []))
    return jumps == 2 and all(line in present.get(table, []) for table, lines in needed.items() for line in lines)


def removal(mark: str, saved: str) -> RuleSet:
    """Return the lines that remove everything of a daemon."""
    rules = RuleSet()
    for table, lines in _parse(saved).items():
        _clear_away(rules, table, mark, lines, everything=True)
    return rules


def _parse(saved: str) -> dict[str, list[str]]:
    """Return the lines of `iptables-save` by table."""
    tables: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            lines = tables.setdefault(line[1:], [])
        elif line.startswith((":", "-A")):
            lines.append(line)
    return tables


def _clear_away(rules: RuleSet, table: str, mark: str, lines: Sequence[str], *, everything: bool = False) -> None:
    ours = [line[1:].split(" ")[0] for line in lines if line.startswith(f":{mark}-")]
    fixed = {f"{mark}-{c}" for c in _CHAINS.get(table, ())}
    doomed = [c for c in ours if everything or c not in fixed]
    jumps = [line for line in lines if f" -j {mark}-" in line and not line.startswith(f"-A {mark}-")]
    rules.add(table, *(f"-D{jump.removeprefix('-A')}" for jump in jumps))
    rules.add(table, *(f"-F {c}" for c in ours), *(f"-X {c}" for c in doomed))


def add_bridge(rules: RuleSet, mark: str, bridge: BridgeRules, version: int) -> None:
    """Add the lines that let a bridge's traffic pass as it is to."""
    inward = f"{mark}-I-{bridge.bridge}"
    rules.add("filter", f":{inward} - [0:0]", *(f"-A {inward} {r}" for r in _inward(mark, bridge, version)))
    for table, line in _entries(mark, bridge, version):
        rules.add(table, f"-A {line}")


def _inward(mark: str, bridge: BridgeRules, version: int) -> Iterable[str]:
    """Return the rules for what is to leave through a bridge, in the chain that is its own."""
    entry = bridge.entry.get(version, Entry.NOTHING)
    yield f"{_ESTABLISHED} -j ACCEPT"
    yield f"-i {bridge.bridge} -j {'ACCEPT' if bridge.icc else f'{mark}-LNK'}"
    if not bridge.internal:
        yield f"{_PUBLISHED} -j ACCEPT"
        if entry is Entry.PORTS:
            yield f"{_ECHO[version]} -j ACCEPT"
            yield f"-j {mark}-OPN"
        yield from (f"-i {trusted} -j {mark}-OPN" for trusted in bridge.trusted)
        if entry is Entry.EVERYTHING:
            yield f"-j {mark}-ISO"
            yield "-j ACCEPT"
    yield "-j DROP"


def remove_bridge(rules: RuleSet, mark: str, bridge: BridgeRules, version: int) -> None:
    """Add the lines that remove what `add_bridge` adds."""
    for table, line in _entries(mark, bridge, version):
        rules.add(table, f"-D {line}")
    inward = f"{mark}-I-{bridge.bridge}"
    rules.add("filter", f"-F {inward}", f"-X {inward}")


def _entries(mark: str, bridge: BridgeRules, version: int) -> Iterable[tuple[str, str]]:
    """Return a bridge's rules in the chains that all bridges share."""
    name, loopback = bridge.bridge, _LOOPBACK[version]
    yield "filter", f"{mark}-INW -o {name} -j {mark}-I-{name}"
    yield "filter", f"{mark}-OUT -i {name} -j {'DROP' if bridge.internal else 'ACCEPT'}"
    yield "filter", f"{mark}-ISO -i {name} -j DROP"
    yield "raw", f"{mark}-RAW -i {name} -d {loopback} -j DROP"
    yield "nat", f"{mark}-MSQ -s {loopback} -o {name} -j MASQUERADE"
    for subnet, source in bridge.sources.items():
        if (":" in subnet) == (version == 6):
            yield "nat", f"{mark}-MSQ -s {subnet} ! -o {name} -j SNAT --to-source {source}"
    for subnet in bridge.masqueraded:
        if (":" in subnet) == (version == 6):
            yield "nat", f"{mark}-MSQ -s {subnet} ! -o {name} -j MASQUERADE"
            yield "nat", f"{mark}-MSQ -s {subnet} -o {name} {_PUBLISHED} -j MASQUERADE"


def ports(rules: RuleSet, mark: str, published: Iterable[PortRule], version: int, verb: str) -> None:
    """Add the lines that add (`-A`) or delete (`-D`) published ports."""
    for port in published:
        if port.ipv6 == (version == 6):
            if port.source:
                rules.add("filter", f"{verb} {mark}-LNK {_link(port)}")
            elif port.host_port:
                rules.add("nat", f"{verb} {mark}-PUB {_port(port)}")
            else:
                rules.add("filter", f"{verb} {mark}-OPN {_open_port(port)}")


def _open_port(port: PortRule) -> str:
    match = f"-p {port.protocol} -m {port.protocol} --dport {port.container_port}"
    return f"-d {port.container_address} {match} -j ACCEPT"


def _link(port: PortRule) -> str:
    match = f"-p {port.protocol} -m {port.protocol} --dport {port.container_port}"
    return f"-s {port.source} -d {port.container_address} -i {port.bridge} {match} -j ACCEPT"


def _port(port: PortRule) -> str:
    address = f"-d {port.host_address} " if port.host_address else ""
    inside = f"[{port.container_address}]" if port.ipv6 else port.container_address
    match = f"-p {port.protocol} -m {port.protocol} --dport {port.host_port}"
    return f"{address}{match} -j DNAT --to-destination {inside}:{port.container_port}"
