"""Published ports: what a container asks for, and what it gets.

Pure but for the holding of host ports, which takes microseconds each.
"""

import ipaddress
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.core.errors import InvalidParameter
from engine.core.model.network import PortBinding
from engine.domain.networks.failures import PortUnavailable
from engine.domain.networks.sandbox import SandboxRequest
from engine.drivers.firewall.host_ports import HostPort, HostPorts, PortAllocated
from engine.drivers.firewall.relay import RelayedPort
from engine.drivers.firewall.rules import PortRule

log = logging.getLogger(__name__)
PortMap = dict[str, list[PortBinding] | None]


class InvalidPort(InvalidParameter):
    """A port specification is not one."""

    def __init__(self, text: str) -> None:
        super().__init__(f'invalid port specification: "{text}"')


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A container port to publish on an address of the host (empty: the default), on one of `host_ports` (or any)."""

    port: int
    protocol: str
    host_address: str = ""
    host_ports: range = range(0)

    @property
    def key(self) -> str:
        """The port as Docker writes it."""
        return f"{self.port}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where ports lead: a container's addresses (or empty) behind a bridge; names are for messages."""

    bridge: str
    ipv4_address: str
    ipv6_address: str = ""
    endpoint_name: str = ""
    endpoint_id: str = ""


@dataclass(slots=True)
class Published:
    """What was published: for inspect, for the firewall, for the relay, and what is held."""

    ports: PortMap = field(default_factory=dict)
    rules: list[PortRule] = field(default_factory=list)
    relayed: list[RelayedPort] = field(default_factory=list)
    held: list[HostPort] = field(default_factory=list)


def parse_port(text: str) -> tuple[int, str]:
    """Return the number and the protocol of `80/tcp`. Raises InvalidPort."""
    number, _, protocol = text.partition("/")
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise InvalidPort(number)
    return int(number), protocol.lower() or "tcp"


def parse_range(text: str) -> range:
    """Return the ports of `8000` or `8000-8010`; nothing for an empty text or 0. Raises InvalidPort."""
    first, dash, last = text.partition("-")
    if not text or text == "0":
        return range(0)
    if not first.isdigit() or (dash and not last.isdigit()):
        raise InvalidPort(text)
    low, high = int(first), int(last or first)
    if not 0 < low <= high < 65536:
        raise InvalidPort(text)
    return range(low, high + 1)


def wanted_ports(request: SandboxRequest) -> list[WantedPort]:
    """Return the ports to publish, in dockerd's order: by number, then protocol."""
    wanted: list[WantedPort] = []
    for key in sorted(set(request.port_bindings) | set(request.exposed_ports), key=parse_port):
        port, protocol = parse_port(key)
        bindings = request.port_bindings.get(key) or ()
        wanted += [WantedPort(port, protocol, b.host_ip, parse_range(b.host_port)) for b in bindings]
        if not bindings and request.publish_all:
            wanted.append(WantedPort(port, protocol))
    return wanted


def unpublished(request: SandboxRequest) -> PortMap:
    """Return the exposed ports, all as unpublished."""
    keys = {*request.exposed_ports, *request.port_bindings}
    return {f"{port}/{protocol}": None for port, protocol in map(parse_port, keys)}


class PortPublisher:
    """Finds and holds host ports."""

    def __init__(self, host_ports: HostPorts, default_address: str, *, ipv6: bool, relay: bool) -> None:
        """`ipv6`: the host has it. `relay`: IPv6 ports are offered for containers that have only IPv4."""
        self._host_ports = host_ports
        self._default = default_address
        self._ipv6 = ipv6
        self._relay = relay

    def publish(self, request: SandboxRequest, target: Target) -> Published:
        """Hold host ports for all that the container publishes. Raises PortUnavailable, and holds nothing then."""
        published = Published(ports=unpublished(request))
        try:
            for wanted in wanted_ports(request):
                addresses = self._addresses(wanted.host_address, target)
                port = self._hold(wanted, addresses, target, published.held)
                bindings = published.ports.get(wanted.key) or []
                bindings += [PortBinding(host_ip=a, host_port=str(port)) for a in addresses]
                published.ports[wanted.key] = bindings
                self._lead(published, wanted, addresses, port, target)
        except BaseException:
            self.release(published.held)
            raise
        published.ports = dict(sorted(published.ports.items()))
        return published

    def adopt(self, ports: Mapping[str, Sequence[PortBinding] | None], target: Target) -> Published:
        """Hold what a running container has published already. What another program took meanwhile stays published."""
        bindings = {key: list(b) for key, b in ports.items() if b}
        request = SandboxRequest("", "", port_bindings=bindings)
        published = Published(ports={key: list(b) if b else None for key, b in ports.items()})
        for wanted in wanted_ports(request):
            addresses = self._addresses(wanted.host_address, target)
            try:
                self._hold(wanted, addresses, target, published.held)
            except PortUnavailable as error:
                log.error("%s", error)
            self._lead(published, wanted, addresses, wanted.host_ports.start, target)
        return published

    def redirect(self, before: Published, target: Target) -> Published:
        """Return ports that are published and held already as they are to be when they lead to another target."""
        after = Published(ports=before.ports, held=before.held)
        for key, bindings in before.ports.items():
            port, protocol = parse_port(key)
            for binding in bindings or ():
                self._lead(after, WantedPort(port, protocol), [binding.host_ip], int(binding.host_port), target)
        return after

    def release(self, held: Iterable[HostPort]) -> None:
        """Give ports back."""
        for port in held:
            self._host_ports.release(port)

    def _addresses(self, host_address: str, target: Target) -> list[str]:
        """Return the host's addresses that a port is to be published on."""
        if host_address:
            return [str(ipaddress.ip_address(host_address.strip("[]")))]
        addresses = [self._default] if target.ipv4_address else []
        serves_ipv6 = self._ipv6 and (target.ipv6_address or self._relay)
        return [*addresses, "::"] if serves_ipv6 and self._default == "0.0.0.0" else addresses

    def _hold(self, wanted: WantedPort, addresses: list[str], target: Target, held: list[HostPort]) -> int:
        candidates = wanted.host_ports or self._host_ports.ephemeral(wanted.protocol)
        failure: PortUnavailable | None = None
        for port in candidates:
            taken: list[HostPort] = []
            try:
                for address in addresses:
                    host_port = HostPort(wanted.protocol, address, port)
                    self._host_ports.hold(host_port)
                    taken.append(host_port)
            except OSError as error:
                self.release(taken)
                failure = _unavailable(error, HostPort(wanted.protocol, address, port), wanted, target)
                continue
            held += taken
            return port
        raise failure or PortUnavailable(target.endpoint_name, target.endpoint_id, "all ports are allocated")

    def _lead(self, published: Published, wanted: WantedPort, addresses: list[str], port: int, target: Target) -> None:
        """Note how packets and connections get from a host port to the container."""
        for address in addresses:
            parsed, host_port = ipaddress.ip_address(address), HostPort(wanted.protocol, address, port)
            inside = target.ipv6_address if parsed.version == 6 else target.ipv4_address
            from_own_loopback = parsed.version == 6 and (parsed.is_unspecified or parsed.is_loopback)
            if inside and not (parsed.version == 6 and parsed.is_loopback):
                outside = "" if parsed.is_unspecified else address
                published.rules.append(PortRule(target.bridge, wanted.protocol, outside, port, inside, wanted.port))
            if self._relay and (from_own_loopback or not inside):
                # The kernel translates neither between the families nor from ::1 to another host.
                published.relayed.append(RelayedPort(host_port, inside or target.ipv4_address, wanted.port))


def _unavailable(error: OSError, port: HostPort, wanted: WantedPort, target: Target) -> PortUnavailable:
    if isinstance(error, PortAllocated):
        reason = f"Bind for {_bracketed(error.holder)}:{port.port} failed: port is already allocated"
    else:
        inside = target.ipv6_address if ":" in port.address and target.ipv6_address else target.ipv4_address
        where = f"{_bracketed(port.address)}:{port.port}:{_bracketed(inside)}:{wanted.key}"
        reason = f"failed to bind host port for {where}: {(error.strerror or str(error)).lower()}"
    return PortUnavailable(target.endpoint_name, target.endpoint_id, reason)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
