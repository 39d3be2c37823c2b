"""What a container on user-defined networks is told when it asks for a name.

Names, aliases, short ids and links of containers on its own networks come first, also as `name.network`; everything
else is asked of the container's or the daemon's name servers, from the container's network, or of the host's, from the
host's; unless all its networks are internal.
"""

import random
from collections.abc import Sequence

from engine.core.model.network import Network
from engine.domain.networks.endpoints import Endpoint, Endpoints
from engine.domain.networks.plan import in_order
from engine.domain.networks.table import NetworkTable
from engine.drivers.dns import messages
from engine.drivers.dns.forward import Forwarder, Opener
from engine.drivers.dns.host import HostServers

_NO_INTERFACES = ("host", "null")
_OWN_KINDS = (messages.A, messages.AAAA, messages.MX)
Pairs = list[tuple[Network, Endpoint]]


class Names:
    """Looks up names and addresses as one container sees them."""

    def __init__(self, table: NetworkTable, endpoints: Endpoints) -> None:
        self._table = table
        self._endpoints = endpoints

    def networks(self, container_id: str) -> Pairs:
        """Return the networks with names that a container is on, in the order in which they are asked."""
        mine = {e.network_id: e for e in self._endpoints.of_container(container_id)}
        found = [(n, e.settings) for i, e in mine.items() if (n := self._table.find(i)) and has_names(n)]
        return [(network, mine[network.id]) for network, _ in in_order(found)]

    def external(self, container_id: str) -> bool:
        """Tell whether a container may ask servers outside: one of its networks is not internal."""
        found = (self._table.find(e.network_id) for e in self._endpoints.of_container(container_id))
        return any(n is not None and n.driver not in _NO_INTERFACES and not n.internal for n in found)

    def endpoints_of(self, container_id: str, name: str) -> list[Endpoint]:
        """Return the endpoints that a name stands for, on the first network that knows it."""
        for network, own in self.networks(container_id):
            short = name.removesuffix(f".{network.name.lower()}")
            found = self._linked(own, name) or self._endpoints.named(network.id, name)
            if not found and short != name:
                found = self._linked(own, short) or self._endpoints.named(network.id, short)
            if found:
                return found
        return []

    def _linked(self, own: Endpoint, name: str) -> list[Endpoint]:
        for link in own.settings.links or ():
            target, _, alias = link.partition(":")
            if (alias or target).lower() == name:
                return self._endpoints.named(own.network_id, target.lower())
        return []

    def name_of(self, container_id: str, address: str) -> str:
        """Return the full name of what has an address on one of the container's networks, empty for none."""
        for network, _ in self.networks(container_id):
            for endpoint in self._endpoints.on_network(network.id):
                if address in (endpoint.settings.ip_address, endpoint.settings.global_ipv6_address):
                    return f"{endpoint.container}.{network.name}"
        return ""


def has_names(network: Network) -> bool:
    """Tell whether containers on a network find one another by name."""
    return network.driver not in _NO_INTERFACES and network.name != "bridge"


class Resolver:
    """Answers the questions of one container."""

    def __init__(
        self, container_id: str, names: Names, upstream: "Upstream", servers: Sequence[str], opener: Opener
    ) -> None:
        """`servers` are those that the container asks for; none: the daemon's or the host's.

        `opener` opens sockets in the container's network.
        """
        self._container_id = container_id
        self._names = names
        self._upstream = upstream
        self._servers = servers
        self._opener = opener

    async def answer(self, wire: bytes, tcp: bool) -> bytes | None:
        """Return the reply to a message, None for one that deserves none."""
        try:
            query = messages.parse_query(wire)
        except messages.MalformedMessage:
            return None
        return self._own_answer(query, tcp=tcp) or await self._foreign_answer(wire, query, tcp=tcp)

    def _own_answer(self, query: messages.Query, *, tcp: bool) -> bytes | None:
        if query.kind == messages.PTR:
            address = messages.reverse_address(query.name)
            name = self._names.name_of(self._container_id, address) if address else ""
            return messages.with_name(query, name, tcp=tcp) if name else None
        found = self._names.endpoints_of(self._container_id, query.name)
        if not found or query.kind not in _OWN_KINDS:
            return None
        addresses = [_address(e, query.kind) for e in found]
        # Whoever takes the first address gets another one each time.
        shuffled = random.sample(addresses, len(addresses))
        return messages.with_addresses(query, [a for a in shuffled if a], tcp=tcp)

    async def _foreign_answer(self, wire: bytes, query: messages.Query, *, tcp: bool) -> bytes:
        reply = None
        if self._names.external(self._container_id):
            reply = await self._upstream.ask(wire, query, self._servers, self._opener, tcp=tcp)
        return reply or messages.failure(query, messages.SERVFAIL)


class Upstream:
    """The name servers outside, for all containers."""

    def __init__(self, daemon_servers: Sequence[str]) -> None:
        self._daemon_servers = daemon_servers
        self._host = HostServers()
        self._forwarder = Forwarder()

    async def ask(
        self, wire: bytes, query: messages.Query, servers: Sequence[str], opener: Opener, *, tcp: bool
    ) -> bytes | None:
        """Ask `servers`, or else the daemon's (`--dns`), through `opener`; or else the host's, from the host."""
        if asked := servers or self._daemon_servers:
            return await self._forwarder.ask(wire, query, asked, opener, tcp=tcp)
        return await self._forwarder.ask(wire, query, await self._host.servers(), tcp=tcp)


def _address(endpoint: Endpoint, kind: int) -> str:
    if kind == messages.A:
        return endpoint.settings.ip_address
    return endpoint.settings.global_ipv6_address if kind == messages.AAAA else ""
