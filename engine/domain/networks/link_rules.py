"""Legacy links where containers of the default bridge do not reach one another (`--icc=false`).

The ports that a container exposes are open to those that link to it, while both run, as with dockerd.
"""

from collections.abc import Iterable, Iterator, Sequence

from engine.core.model.network import Network
from engine.domain.networks import options
from engine.domain.networks.endpoints import Endpoint, Endpoints
from engine.domain.networks.sandbox import SandboxRequest
from engine.domain.networks.table import NetworkTable
from engine.drivers.firewall.rules import Firewall, PortRule

_DEFAULT_BRIDGE = "bridge"


def needs_rules(network: Network) -> bool:
    """Tell whether links on a network have to be opened."""
    return network.name == _DEFAULT_BRIDGE and not options.icc(network)


class LinkRules:
    """The links that are open, each with the IDs of the two containers."""

    def __init__(self, table: NetworkTable, endpoints: Endpoints, firewall: Firewall) -> None:
        self._table = table
        self._endpoints = endpoints
        self._firewall = firewall
        self._open: dict[PortRule, tuple[str, str]] = {}

    async def open(
        self, request: SandboxRequest, endpoints: Iterable[Endpoint], others: Iterable[SandboxRequest]
    ) -> None:
        """Open the links of a container that starts, and those of others to it. Raises OSError."""
        network = self._table.find(_DEFAULT_BRIDGE)
        own = next((e for e in endpoints if network is not None and e.network_id == network.id), None)
        if network is None or own is None or not needs_rules(network):
            return
        made: dict[PortRule, tuple[str, str]] = {}
        for other in others:
            peer = self._endpoints.find(other.container_id, network.id)
            if peer is not None and other.container_id in request.links:
                made |= dict.fromkeys(_rules(network, own, peer, other), (request.container_id, other.container_id))
            if peer is not None and request.container_id in other.links:
                made |= dict.fromkeys(_rules(network, peer, own, request), (other.container_id, request.container_id))
        fresh = {rule: pair for rule, pair in made.items() if rule not in self._open}
        if fresh:
            await self._firewall.publish(list(fresh))
            self._open |= fresh

    def adopt(self, running: Sequence[SandboxRequest]) -> list[PortRule]:
        """Return the rules of the links between containers that run already, to be put in force."""
        network = self._table.find(_DEFAULT_BRIDGE)
        if network is None or not needs_rules(network):
            return []
        by_id = {request.container_id: request for request in running}
        for parent in running:
            for target in parent.links:
                one = self._endpoints.find(parent.container_id, network.id)
                two = self._endpoints.find(target, network.id)
                if one and two and target in by_id:
                    self._open |= dict.fromkeys(_rules(network, one, two, by_id[target]), (parent.container_id, target))
        return list(self._open)

    async def close(self, container_id: str) -> None:
        """Close the links of a container and those to it. Idempotent. Raises OSError."""
        doomed = [rule for rule, pair in self._open.items() if container_id in pair]
        if doomed:
            await self._firewall.unpublish(doomed)
            for rule in doomed:
                self._open.pop(rule, None)


def _rules(network: Network, parent: Endpoint, target: Endpoint, exposing: SandboxRequest) -> Iterator[PortRule]:
    source, address = parent.settings.ip_address, target.settings.ip_address
    for text in exposing.exposed_ports if source and address else ():
        number, _, protocol = text.partition("/")
        yield PortRule(protocol or "tcp", "", 0, address, int(number), source, options.bridge_name(network))
