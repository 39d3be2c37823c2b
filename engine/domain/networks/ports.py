"""Published ports: what a container asks for, and what it gets.

Pure but for the holding of host ports, which takes microseconds each.
"""

import ipaddress
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.core.model.network import PortBinding
from engine.domain.networks.failures import PortUnavailable
from engine.domain.networks.sandbox import SandboxRequest
from engine.domain.networks.wanted_ports import WantedPort, parse_port, parse_range, wanted_ports
from engine.drivers.firewall.host_ports import HostPort, HostPorts, PortAllocated
from engine.drivers.firewall.relay import RelayedPort
from engine.drivers.firewall.rules import PortRule

log = logging.getLogger(__name__)
PortMap = dict[str, list[PortBinding] | None]
_EVERYWHERE = {4: "0.0.0.0", 6: "::"}


@dataclass(frozen=True, slots=True)
class Leg:
    """A container's address of one family, and how its ports are reached there.

    Translated: by ports of the host, on `host_binding` where nobody says otherwise (empty: the daemon's default). Open:
    at the address itself. The endpoint's name and id are for messages.
    """

    address: str
    endpoint_name: str = ""
    endpoint_id: str = ""
    translated: bool = True
    open: bool = False
    host_binding: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a container's ports lead; None for a family in which they lead nowhere."""

    ipv4: Leg | None = None
    ipv6: Leg | None = None

    def leg(self, host_address: str) -> Leg | None:
        """Return the leg of an address's family."""
        return self.ipv6 if ":" in host_address else self.ipv4

    @property
    def any_leg(self) -> Leg:
        """One of the legs."""
        return self.ipv4 or self.ipv6 or Leg("")

    @property
    def shape(self) -> tuple[tuple[bool, str] | None, ...]:
        """What decides which ports of the host are used."""
        return tuple((leg.translated, leg.host_binding) if leg else None for leg in (self.ipv4, self.ipv6))


@dataclass(slots=True)
class PublishedPort:
    """One port that was asked for: its bindings for inspect, its rules, what the relay serves, what is held."""

    wanted: WantedPort
    bindings: list[PortBinding] = field(default_factory=list)
    rules: list[PortRule] = field(default_factory=list)
    relayed: list[RelayedPort] = field(default_factory=list)
    held: list[HostPort] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Published:
    """All of a container's ports; `exposed` are those that are shown whether or not they are published."""

    exposed: Sequence[str] = ()
    entries: Sequence[PublishedPort] = ()
    target: Target = Target()

    @property
    def ports(self) -> PortMap:
        """The bindings by port, as inspect shows them."""
        found: dict[str, list[PortBinding]] = {}
        for entry in self.entries:
            found.setdefault(entry.wanted.key, []).extend(entry.bindings)
        return {key: found.get(key) for key in sorted({*self.exposed, *found})}

    @property
    def rules(self) -> list[PortRule]:
        """The firewall's rules."""
        return [rule for entry in self.entries for rule in entry.rules]

    @property
    def relayed(self) -> list[RelayedPort]:
        """What the relay serves."""
        return [relayed for entry in self.entries for relayed in entry.relayed]

    @property
    def held(self) -> list[HostPort]:
        """The host's ports that are held."""
        return [held for entry in self.entries for held in entry.held]


def exposed_ports(request: SandboxRequest) -> list[str]:
    """Return the ports that are shown whether or not they are published."""
    keys = {*request.exposed_ports, *request.port_bindings}
    return [f"{port}/{protocol}" for port, protocol in map(parse_port, keys)]


class PortPublisher:
    """Finds and holds host ports."""

    def __init__(self, host_ports: HostPorts, default_address: str, *, ipv6: bool, relay: bool) -> None:
        """`ipv6`: the host has it. `relay`: IPv6 ports are offered for containers that have only IPv4."""
        self._host_ports = host_ports
        self._default = default_address
        self._ipv6 = ipv6
        self._relay = relay

    def publish(self, request: SandboxRequest, target: Target, before: Published | None = None) -> Published:
        """Hold host ports for all that the container publishes; what was published `before` and stays is kept.

        Raises PortUnavailable, and holds just what it did before then.
        """
        left = list(before.entries) if before else []
        found = [(wanted, _taken_out(left, wanted)) for wanted in wanted_ports(request)]
        lent = {held for entry in left for held in entry.held}
        made: list[PublishedPort] = []
        try:
            made += (self._publish(wanted, target, lent) for wanted, entry in found if entry is None)
        except BaseException:
            self.release(held for entry in made for held in entry.held if held not in lent)
            raise
        new = iter(made)
        return Published(exposed_ports(request), [entry or next(new) for _, entry in found], target)

    def _publish(self, wanted: WantedPort, target: Target, lent: Collection[HostPort]) -> PublishedPort:
        """Publish one port; what is `lent` is held already, for a port that goes."""
        entry = PublishedPort(wanted)
        addresses = self._addresses(wanted.host_address, target)
        # Where a family leads nowhere by itself, the relay carries it from a port of the host.
        translated = [a for a in addresses if (leg := target.leg(a)) is None or leg.translated]
        port = self._hold(entry, translated, target, lent) if translated else 0
        entry.bindings = [_binding(a, port if a in translated else 0) for a in addresses]
        self._lead(entry, target)
        return entry

    def adopt(
        self, request: SandboxRequest, ports: Mapping[str, Sequence[PortBinding] | None], target: Target
    ) -> Published:
        """Hold what a running container has published already. What another program took meanwhile stays published."""
        entries = []
        for wanted, bindings in self._matched(request, ports, target):
            entry = PublishedPort(wanted, list(bindings))
            for binding in bindings:
                self._hold_again(binding, entry)
            self._lead(entry, target)
            entries.append(entry)
        return Published(list(ports), entries, target)

    def _matched(
        self, request: SandboxRequest, ports: Mapping[str, Sequence[PortBinding] | None], target: Target
    ) -> Iterator[tuple[WantedPort, Sequence[PortBinding]]]:
        """Return what was asked for with what it got; bindings that nothing explains stand for themselves."""
        left = {key: list(bindings or ()) for key, bindings in ports.items()}
        for wanted in wanted_ports(request):
            bindings = left.get(wanted.key, [])
            count = len(self._addresses(wanted.host_address, target))
            if len(bindings) >= count:
                yield wanted, bindings[:count]
                del bindings[:count]
        for key, bindings in left.items():
            for binding in bindings:
                port, protocol = parse_port(key)
                yield WantedPort(port, protocol, binding.host_ip, parse_range(binding.host_port)), [binding]

    def _hold_again(self, binding: PortBinding, entry: PublishedPort) -> None:
        if not binding.host_port:
            return
        port = HostPort(entry.wanted.protocol, binding.host_ip, int(binding.host_port))
        try:
            self._host_ports.hold(port)
        except OSError as error:
            log.error("port %s of %s, published for a running container: %s", port.port, port.address, error)
        else:
            entry.held.append(port)

    def redirect(self, before: Published, target: Target) -> Published:
        """Return ports that are published and held already as they are to be when they lead to another target."""
        entries = [replace(entry, rules=[], relayed=[]) for entry in before.entries]
        for entry in entries:
            self._lead(entry, target)
        return replace(before, entries=entries, target=target)

    def release(self, held: Iterable[HostPort]) -> None:
        """Give ports back."""
        for port in held:
            self._host_ports.release(port)

    def _addresses(self, host_address: str, target: Target) -> list[str]:
        """Return the host's addresses that a port is to be published on."""
        if host_address:
            return [str(ipaddress.ip_address(host_address.strip("[]")))]
        default = (target.ipv4.host_binding if target.ipv4 else "") or self._default
        addresses = [default] if target.ipv4 or (":" in default and self._relay) else []
        serves_ipv6 = self._ipv6 and (target.ipv6 or self._relay)
        return [*addresses, "::"] if serves_ipv6 and default == "0.0.0.0" else addresses

    def _hold(self, entry: PublishedPort, addresses: list[str], target: Target, lent: Collection[HostPort]) -> int:
        wanted = entry.wanted
        candidates = wanted.host_ports or self._host_ports.ephemeral(wanted.protocol)
        failure: PortUnavailable | None = None
        for port in candidates:
            taken: list[HostPort] = []
            try:
                for address in addresses:
                    host_port = HostPort(wanted.protocol, address, port)
                    if host_port not in lent:
                        self._host_ports.hold(host_port)
                    taken.append(host_port)
            except OSError as error:
                self.release(held for held in taken if held not in lent)
                failure = _unavailable(error, HostPort(wanted.protocol, address, port), wanted, target)
                continue
            entry.held += taken
            return port
        leg = target.any_leg
        raise failure or PortUnavailable(leg.endpoint_name, leg.endpoint_id, "all ports are allocated")

    def _lead(self, entry: PublishedPort, target: Target) -> None:
        """Note how packets and connections get from a host port to the container."""
        wanted = entry.wanted
        for binding in entry.bindings:
            leg = target.leg(binding.host_ip)
            if leg and leg.open:
                entry.rules.append(PortRule(wanted.protocol, "", 0, leg.address, wanted.port))
            if binding.host_port:
                host_port = HostPort(wanted.protocol, binding.host_ip, int(binding.host_port))
                self._translate(entry, host_port, leg, target)

    def _translate(self, entry: PublishedPort, host: HostPort, leg: Leg | None, target: Target) -> None:
        parsed = ipaddress.ip_address(host.address)
        from_own_loopback = parsed.version == 6 and (parsed.is_unspecified or parsed.is_loopback)
        if leg and not (parsed.version == 6 and parsed.is_loopback):
            outside = "" if parsed.is_unspecified else host.address
            entry.rules.append(PortRule(host.protocol, outside, host.port, leg.address, entry.wanted.port))
        if self._relay and (from_own_loopback or not leg):
            # The kernel translates neither between the families nor from ::1 to another host.
            entry.relayed.append(RelayedPort(host, (leg or target.any_leg).address, entry.wanted.port))


def _taken_out(kept: list[PublishedPort], wanted: WantedPort) -> PublishedPort | None:
    for entry in kept:
        if entry.wanted == wanted:
            kept.remove(entry)
            return entry
    return None


def _binding(address: str, port: int) -> PortBinding:
    """Return what inspect shows: a port that is not translated has no address of the host either."""
    if port:
        return PortBinding(host_ip=address, host_port=str(port))
    return PortBinding(host_ip=_EVERYWHERE[6 if ":" in address else 4])


def _unavailable(error: OSError, port: HostPort, wanted: WantedPort, target: Target) -> PortUnavailable:
    leg = target.leg(port.address) or target.any_leg
    if isinstance(error, PortAllocated):
        reason = f"Bind for {_bracketed(error.holder)}:{port.port} failed: port is already allocated"
    else:
        where = f"{_bracketed(port.address)}:{port.port}:{_bracketed(leg.address)}:{wanted.key}"
        reason = f"failed to bind host port for {where}: {(error.strerror or str(error)).lower()}"
    return PortUnavailable(leg.endpoint_name, leg.endpoint_id, reason)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
