"""The rules of one daemon as nft commands. Pure.

One table for each family, named for the daemon, with the same rules in every daemon. A bridge is elements of its sets,
a published port one element of a map: adding or removing it costs the same however many there are, and so does passing
it.

- A packet to a local address looks up `ports` (address, protocol, port), then `ports_any`, on its way in and out.
- Into a bridge comes what belongs to a connection, what was sent by its own containers, and what the maps sent there.
  So a container's own address leads nowhere from outside, whatever routes a neighbour has; but for routed bridges and
  for interfaces that are trusted (both: to the ports in `open`), and for bridges that are unprotected.
- 127.0.0.1 is published on the way out only: a packet for it that arrives from elsewhere is left to the kernel, which
  drops it, or is dropped here where it comes from a bridge (on which `route_localnet` has the kernel not drop it).
- ::1 cannot be translated at all: the relay serves it.
- A container that calls its own host's published port gets there by hairpin: its address is masqueraded.
"""

from collections.abc import Iterable, Sequence

from engine.drivers.firewall.rules import BridgeRules, Entry, PortRule

_TYPES = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}
_LOOPBACK = {"ip": "127.0.0.0/8", "ip6": "::1"}
_VERSIONS = {"ip": 4, "ip6": 6}
_ECHO = {"ip": "icmp", "ip6": "ipv6-icmp"}
FAMILIES = ("ip", "ip6")


def family_of(address: str) -> str:
    """Return nft's name of an address's or a subnet's family."""
    return "ip6" if ":" in address else "ip"


def table_script(table: str, family: str) -> str:
    """Return the commands that make a daemon's table of a family anew, with nothing particular in it."""
    at = f"{family} {table}"
    inside = _sets(family) + _translation(family) + _filters(family)
    return f"add table {at}\ndelete table {at}\ntable {at} {{\n{inside}}}\n"


def _sets(family: str) -> str:
    address = _TYPES[family]
    return f"""
  map ports {{ type {address} . inet_proto . inet_service : {address} . inet_service; }}
  map ports_any {{ type inet_proto . inet_service : {address} . inet_service; }}
  map sources {{ type {address} : {address}; flags interval; }}
  set open {{ type {address} . inet_proto . inet_service; }}
  set linked {{ type ifname . {address} . {address} . inet_proto . inet_service; }}
  set bridges {{ type ifname; }}
  set internal {{ type ifname; }}
  set routed {{ type ifname; }}
  set unprotected {{ type ifname; }}
  set within {{ type ifname . ifname; }}
  set trusted {{ type ifname . ifname; }}
  set masqueraded {{ type {address}; flags interval; }}
"""


def _translation(family: str) -> str:
    loopback = _LOOPBACK[family]
    own_loopback = "ip6 daddr ::1 return" if family == "ip6" else ""
    return f"""
  chain publish {{
    dnat to {family} daddr . meta l4proto . th dport map @ports
    dnat to meta l4proto . th dport map @ports_any
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    {family} daddr {loopback} return
    fib daddr type local jump publish
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    {own_loopback}
    fib daddr type local jump publish
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    {family} saddr {loopback} oifname @bridges masquerade
    oifname != @bridges snat to {family} saddr map @sources
    {family} saddr @masqueraded oifname != @bridges masquerade
    {family} saddr @masqueraded ct status dnat masquerade
  }}
"""


def _filters(family: str) -> str:
    return f"""
  chain raw {{
    type filter hook prerouting priority raw; policy accept;
    iifname @bridges {family} daddr {_LOOPBACK[family]} drop
  }}
  chain direct {{
    meta l4proto {_ECHO[family]} oifname @routed accept
    {family} daddr . meta l4proto . th dport @open accept
  }}
  chain inward {{
    iifname . oifname @within accept
    iifname . {family} saddr . {family} daddr . meta l4proto . th dport @linked accept
    oifname @internal drop
    ct status dnat accept
    oifname @routed jump direct
    iifname . oifname @trusted jump direct
    oifname @unprotected iifname != @bridges accept
    drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    oifname @bridges jump inward
    iifname @internal drop
  }}
"""


class Script:
    """What changes a daemon's tables, as text."""

    def __init__(self, table: str, families: Sequence[str] = FAMILIES) -> None:
        self._table = table
        self._families = families

    def bridge(self, bridge: BridgeRules, verb: str) -> str:
        """Return the commands that add or delete (`verb`) the elements of a bridge."""
        lines: list[str] = []
        for family in self._families:
            elements = _elements(bridge, family, verb)
            lines += [f"{verb} element {family} {self._table} {s} {{ {e} }}\n" for s, e in elements.items() if e]
        return "".join(lines)

    def ports(self, ports: Iterable[PortRule], verb: str) -> str:
        """Return the commands that add or delete (`verb`) the elements of published ports."""
        elements: dict[tuple[str, str], list[str]] = {}
        for port in ports:
            name, element = _element(port, verb)
            elements.setdefault(("ip6" if port.ipv6 else "ip", name), []).append(element)
        lines = [f"{verb} element {f} {self._table} {m} {{ {', '.join(e)} }}\n" for (f, m), e in elements.items()]
        return "".join(lines)

    def whole(self, bridges: Sequence[BridgeRules], ports: Sequence[PortRule]) -> str:
        """Return the commands that make these the daemon's rules and no others."""
        tables = "".join(table_script(self._table, family) for family in self._families)
        return tables + "".join(self.bridge(b, "add") for b in bridges) + self.ports(ports, "add")

    def clear(self) -> str:
        """Return the commands that remove the daemon's tables, whether they are there or not."""
        return "".join(f"add table {f} {self._table}\ndelete table {f} {self._table}\n" for f in self._families)


def _elements(bridge: BridgeRules, family: str, verb: str) -> dict[str, str]:
    """Return a bridge's elements by the name of their set."""
    name, entry = f'"{bridge.bridge}"', bridge.entry.get(_VERSIONS[family], Entry.NOTHING)
    sources = [(s, a) for s, a in bridge.sources.items() if family_of(s) == family]
    return {
        "bridges": name,
        "internal": name if bridge.internal else "",
        "routed": name if entry is Entry.PORTS else "",
        "unprotected": name if entry is Entry.EVERYTHING else "",
        "within": f"{name} . {name}" if bridge.icc else "",
        "trusted": ", ".join(f'"{trusted}" . {name}' for trusted in bridge.trusted),
        "masqueraded": ", ".join(s for s in bridge.masqueraded if family_of(s) == family),
        "sources": ", ".join(f"{s} : {a}" if verb == "add" else s for s, a in sources),
    }


def _element(port: PortRule, verb: str) -> tuple[str, str]:
    """Return the set or map that a port is in, and its element."""
    if port.source:
        inside = f"{port.source} . {port.container_address} . {port.protocol} . {port.container_port}"
        return "linked", f'"{port.bridge}" . {inside}'
    if not port.host_port:
        return "open", f"{port.container_address} . {port.protocol} . {port.container_port}"
    key = f"{port.protocol} . {port.host_port}"
    value = f" : {port.container_address} . {port.container_port}" if verb == "add" else ""
    if port.host_address:
        return "ports", f"{port.host_address} . {key}{value}"
    return "ports_any", key + value
