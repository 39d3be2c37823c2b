"""The errors of the network part, with dockerd's texts: clients match on them."""

from engine.core.errors import Conflict, Forbidden, Internal, InvalidParameter, NotFound


class NetworkNotFound(NotFound):
    """No network has that name, id or id prefix."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"network {reference} not found")


class AmbiguousNetwork(InvalidParameter):
    """A name or an id prefix fits several networks."""

    def __init__(self, reference: str, count: int) -> None:
        super().__init__(f"network {reference} is ambiguous ({count} matches found based on ID prefix)")


class NetworkExists(Conflict):
    """Another network has the name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"network with name {name} already exists")


class InvalidNetworkName(InvalidParameter):
    """A network needs a name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"invalid name: {name}")


class PredefinedNetwork(Forbidden):
    """`bridge`, `host` and `none` are always there and cannot be made."""

    def __init__(self, name: str) -> None:
        super().__init__(f"operation is not permitted on predefined {name} network ")


class PredefinedNotRemovable(Forbidden):
    """`bridge`, `host` and `none` cannot be removed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is a pre-defined network and cannot be removed")


class HasActiveEndpoints(Forbidden):
    """Running containers are connected."""

    def __init__(self, name: str, network_id: str, endpoints: str) -> None:
        super().__init__(
            f"error while removing network: network {name} has active endpoints (name:{endpoints})"
            if endpoints
            else f"error while removing network: network {name} id {network_id} has active endpoints"
        )


class PoolOverlaps(Forbidden):
    """A subnet that a client asks for is in use."""

    def __init__(self) -> None:
        super().__init__("invalid pool request: Pool overlaps with other one on this address space")


class PoolsExhausted(Internal):
    """No subnet is left in the default pools."""

    def __init__(self) -> None:
        super().__init__("all predefined address pools have been fully subnetted")


class NoAddressLeft(Internal):
    """Every address of a network is taken."""

    def __init__(self) -> None:
        super().__init__("no available IPv4 addresses on this network's address pools")


class AddressInUse(Forbidden):
    """An address that a client asks for is taken."""

    def __init__(self) -> None:
        super().__init__("Address already in use")


class AddressOutsidePool(Forbidden):
    """An address that a client asks for is not one of the network."""

    def __init__(self, address: str) -> None:
        super().__init__(f"no configured subnet contains IP address {address}")


class PluginNotFound(NotFound):
    """No such network driver."""

    def __init__(self, driver: str) -> None:
        super().__init__(f'plugin "{driver}" not found')


class InvalidNetworkConfig(InvalidParameter):
    """The request for a network contradicts itself."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("invalid network config:\n" + "\n".join(reasons))


class AlreadyConnected(Forbidden):
    """The container is on that network."""

    def __init__(self, container: str, network: str) -> None:
        super().__init__(f"endpoint with name {container} already exists in network {network}")


class NotConnected(Internal):
    """The container is not on that network; dockerd answers 500."""

    def __init__(self, container: str, network: str) -> None:
        super().__init__(f"container {container} is not connected to network {network}")


class PortUnavailable(Internal):
    """A host port cannot be had: 500, as with dockerd."""

    def __init__(self, endpoint_name: str, endpoint_id: str, reason: str) -> None:
        super().__init__(
            f"driver failed programming external connectivity on endpoint {endpoint_name} ({endpoint_id}): {reason}"
        )


class LinkFailed(Internal):
    """The kernel refuses a bridge, a veth or a namespace."""

    def __init__(self, what: str, error: OSError) -> None:
        super().__init__(f"{what}: {error.strerror or error}")
