"""Which of a container's endpoints its default routes go through, and its ports are published on. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.core.model.network import Network
from engine.domain.networks import options
from engine.domain.networks.endpoints import Endpoint
from engine.domain.networks.options import GatewayMode
from engine.domain.networks.parents import is_layer3
from engine.domain.networks.plan import in_order
from engine.domain.networks.ports import Leg, Target
from engine.drivers.netlink.interfaces import DefaultRoute

Pair = tuple[Network, Endpoint]


@dataclass(frozen=True, slots=True)
class Gateways:
    """The network and endpoint of each family's default route; None where there is none."""

    ipv4: Pair | None = None
    ipv6: Pair | None = None

    def routes(self) -> list[DefaultRoute]:
        """Return the default routes."""
        found = []
        if self.ipv4:
            settings = self.ipv4[1].settings
            found.append(DefaultRoute(4, settings.interface, settings.gateway))
        if self.ipv6:
            settings = self.ipv6[1].settings
            found.append(DefaultRoute(6, settings.interface, settings.ipv6_gateway))
        return found


def choose(connected: Sequence[Pair]) -> Gateways:
    """Return what dockerd chooses: the first network that leads out in both families, else the first in each.

    Networks are in the order of their gateway priority, then of their names.
    """
    pairs = {network.id: (network, endpoint) for network, endpoint in connected}
    ordered = in_order([(network, endpoint.settings) for network, endpoint in connected])
    ipv4: Pair | None = None
    ipv6: Pair | None = None
    for network, settings in ordered:
        leads4 = _leads_out(network, settings.interface, settings.ip_address, settings.gateway)
        leads6 = _leads_out(network, settings.interface, settings.global_ipv6_address, settings.ipv6_gateway)
        pair = pairs[network.id]
        if leads4 and leads6:
            return Gateways(pair, pair)
        ipv4 = ipv4 or (pair if leads4 else None)
        ipv6 = ipv6 or (pair if leads6 else None)
    return Gateways(ipv4, ipv6)


def _leads_out(network: Network, interface: str, address: str, gateway: str) -> bool:
    if not interface or network.internal:
        return False
    return bool(gateway or (address and is_layer3(network)))


def port_target(gateways: Gateways, *, direct_routing: bool) -> Target:
    """Return where a container's ports lead: to the bridges that its default routes go through.

    `direct_routing`: all of them are open at the container's own addresses, too.
    """
    ipv4 = _leg(gateways.ipv4, 4, direct_routing=direct_routing)
    return Target(ipv4, _leg(gateways.ipv6, 6, direct_routing=direct_routing))


def _leg(pair: Pair | None, version: int, *, direct_routing: bool) -> Leg | None:
    if pair is None or pair[0].driver != "bridge":
        return None
    network, endpoint = pair
    routed = options.gateway_mode(network, version) is GatewayMode.ROUTED
    settings = endpoint.settings
    return Leg(
        address=settings.ip_address if version == 4 else settings.global_ipv6_address,
        endpoint_name=endpoint.container,
        endpoint_id=endpoint.id,
        translated=not routed,
        open=routed or direct_routing or bool(options.trusted_interfaces(network)),
        host_binding=options.host_binding(network),
    )
