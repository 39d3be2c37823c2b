"""The errors of the network part, with dockerd's texts: clients match on them."""

from collections.abc import Sequence

from engine.core.errors import Conflict, Forbidden, Internal, InvalidParameter, NotFound

_NO_SLASH = "no '/'"


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

    def __init__(self, name: str, endpoints: Sequence[tuple[str, str]]) -> None:
        listed = ", ".join(f'name:"{container}" id:"{endpoint[:12]}"' for container, endpoint in endpoints)
        super().__init__(f"error while removing network: network {name} has active endpoints ({listed})")


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

    def __init__(self, version: int, name: str, network_id: str) -> None:
        super().__init__(f"no available IPv{version} addresses on this network's address pools: {name} ({network_id})")


class GatewayTaken(Internal):
    """The gateway that a client asks for is no address that can be given; dockerd answers 500."""

    def __init__(self, address: str) -> None:
        super().__init__(f"failed to allocate gateway ({address}): Address already in use")


class GatewayNotAllocated(Internal):
    """An IPAM plugin gives no gateway."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"failed to allocate gateway ({address}): {reason}")


class IpamRefused(Internal):
    """An IPAM plugin says why it does not do what it is asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"remote: {reason}")


class NoAddressReturned(Internal):
    """An IPAM plugin answers without an address."""

    def __init__(self) -> None:
        super().__init__("no address returned")


class UnusablePool(Internal):
    """An IPAM plugin answers without a subnet. The text is that of Go's `netip`."""

    def __init__(self, text: str) -> None:
        super().__init__(f'netip.ParsePrefix("{text}"): {"not a subnet" if "/" in text else _NO_SLASH}')


class AuxiliaryAddressTaken(Internal):
    """An auxiliary address is the gateway's, or named twice; dockerd answers 500."""

    def __init__(self, name: str, address: str, reason: str = "Address already in use") -> None:
        super().__init__(f"failed to allocate secondary ip address ({name}:{address}): {reason}")


class AddressInUse(Forbidden):
    """An address that a client asks for is taken."""

    def __init__(self) -> None:
        super().__init__("Address already in use")


class AddressOutsidePool(Forbidden):
    """An address that a client asks for is not one of the network."""

    def __init__(self, address: str) -> None:
        super().__init__(f"no configured subnet contains IP address {address}")


class RemoteRefused(Internal):
    """A plugin does not do what it is asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"remote: {reason}")


class EndpointRefused(Internal):
    """A plugin does not take a container."""

    def __init__(self, container: str, network: str, reason: str) -> None:
        super().__init__(f"failed to create endpoint {container} on network {network}: {reason}")


class PluginNotFound(NotFound):
    """No such network driver."""

    def __init__(self, driver: str) -> None:
        super().__init__(f'plugin "{driver}" not found')


class InvalidNetworkConfig(InvalidParameter):
    """The request for a network contradicts itself."""

    def __init__(self, problems: Sequence[str]) -> None:
        listed = problems[0] if len(problems) == 1 else "\n".join(f"* {p}" for p in problems)
        super().__init__(f"invalid network config:\n{listed}")


class AlreadyConnected(Forbidden):
    """The container is on that network."""

    def __init__(self, container: str, network: str) -> None:
        super().__init__(f"endpoint with name {container} already exists in network {network}")


class NotConnected(Internal):
    """The container is not on that network; dockerd answers 500."""

    def __init__(self, container: str, network: str) -> None:
        super().__init__(f"container {container} is not connected to network {network}")


class OnlyOneInstance(Forbidden):
    """`host` and `null` networks are not made."""

    def __init__(self, driver: str) -> None:
        super().__init__(f'only one instance of "{driver}" network is allowed')


class ScopeNeedsSwarm(Forbidden):
    """There is no swarm."""

    def __init__(self) -> None:
        super().__init__("cannot create a swarm scoped network when swarm is not active")


class NoFamilyEnabled(InvalidParameter):
    """Neither IPv4 nor IPv6."""

    def __init__(self) -> None:
        super().__init__("IPv4 or IPv6 must be enabled")


class InvalidOption(InvalidParameter):
    """A driver option has a value that is none."""

    def __init__(self, option: str, value: str, reason: str) -> None:
        super().__init__(f"failed to parse {option} value: {value} ({reason})")


class InvalidMtu(InvalidParameter):
    """An MTU below zero."""

    def __init__(self, value: str) -> None:
        super().__init__(f"invalid MTU number: {value}")


class IsolatedNotInternal(Internal):
    """A bridge without addresses is of use where nothing leads out; dockerd answers 500."""

    def __init__(self) -> None:
        super().__init__("gateway mode 'isolated' can only be used for an internal network")


class SeveralSubnets(Forbidden):
    """A bridge has one subnet of each family."""

    def __init__(self) -> None:
        super().__init__("bridge driver doesn't support multiple subnets")


class BridgesOverlap(Forbidden):
    """A subnet that a plugin has given, of this bridge or of the other."""

    def __init__(self, one: tuple[str, str], other: tuple[str, str], version: int) -> None:
        """`one`, `other`: the ID of a network and its bridge."""
        conflict = f"conflicts with network {other[0]} ({other[1]}): networks have overlapping IPv{version}"
        super().__init__(f"cannot create network {one[0]} ({one[1]}): {conflict}")


class NoPool(InvalidParameter):
    """The IPAM driver `null` has no subnet to give."""

    def __init__(self, family: str) -> None:
        super().__init__(f"{family} pool is empty")


class IngressNeedsSwarm(Forbidden):
    """There is no swarm."""

    def __init__(self) -> None:
        super().__init__("Ingress network can only be global scope network")


class OverlayNeedsSwarm(Forbidden):
    """There is no swarm."""

    def __init__(self) -> None:
        super().__init__(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
            "to swarm and try again."
        )


class NotJustSettings(Forbidden):
    """A configuration network has settings of networks only, not of their use."""

    def __init__(self) -> None:
        super().__init__(
            "configuration network can only contain network specific fields. Network operator fields like "
            "[ ingress | internal | attachable | scope ] are not supported."
        )


class NestedSettings(Forbidden):
    """A configuration network takes its settings from nobody."""

    def __init__(self) -> None:
        super().__init__("a configuration network cannot depend on another configuration network")


class SettingsTwice(Forbidden):
    """Settings come from the request or from a configuration network."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} are not supported if the network depends on a configuration network")


class SettingsNotFound(NotFound):
    """No configuration network of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'configuration network "{name}" does not exist')


class SettingsInUse(Forbidden):
    """Networks have their settings from a configuration network."""

    def __init__(self, name: str) -> None:
        super().__init__(f'error while removing network: configuration network "{name}" is in use')


class NoEndpointsHere(Forbidden):
    """A configuration network is not one to be on."""

    def __init__(self) -> None:
        super().__init__("cannot create endpoint on configuration-only network")


class SameBridgeName(Forbidden):
    """Two networks ask for one bridge."""

    def __init__(self, network_id: str, other_id: str, bridge: str) -> None:
        super().__init__(
            f"cannot create network {network_id} ({bridge}): conflicts with network {other_id} ({bridge}): "
            "networks have same bridge name"
        )


class InvalidTypeFilter(Internal):
    """`type` is builtin or custom; dockerd answers 500."""

    def __init__(self, value: str) -> None:
        super().__init__(f"invalid filter: 'type'='{value}'")


class InvalidDanglingFilter(InvalidParameter):
    """`dangling` is a truth value."""

    def __init__(self) -> None:
        super().__init__('invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")')


class PortUnavailable(Internal):
    """A host port cannot be had: 500, as with dockerd."""

    def __init__(self, endpoint_name: str, endpoint_id: str, reason: str) -> None:
        super().__init__(
            f"driver failed programming external connectivity on endpoint {endpoint_name} ({endpoint_id}): {reason}"
        )


class NetworkDown(Internal):
    """A network's bridge or parent could not be had when the daemon started; the log says why."""

    def __init__(self, network_id: str) -> None:
        super().__init__(f"network {network_id} is not available")


class LinkFailed(Internal):
    """The kernel refuses a bridge, a veth or a namespace."""

    def __init__(self, what: str, error: OSError) -> None:
        super().__init__(f"{what}: {error.strerror or error}")


class InterfaceRefused(Internal):
    """A container's interface cannot be as an endpoint's options ask for it."""

    def __init__(self, link: str, reason: str) -> None:
        super().__init__(f"failed to add interface {link} to sandbox: {reason}")


class PortRefused(Internal):
    """The kernel makes no macvlan or ipvlan link on the parent."""

    def __init__(self, kind: str, error: OSError) -> None:
        super().__init__(f"failed to create the {kind} port: {(error.strerror or str(error)).lower()}")


class NoCustomMac(Internal):
    """An ipvlan link has its parent's MAC address; dockerd answers 500."""

    def __init__(self, driver: str) -> None:
        super().__init__(f"{driver} interfaces do not support custom mac address assignment")


class LinkRefused(Internal):
    """The kernel refuses a link as a client asks for it; the text is the kernel's alone, as Go writes it."""

    def __init__(self, error: OSError) -> None:
        super().__init__((error.strerror or str(error)).lower())


class ExistingLinkUnfit(Internal):
    """A network asks for a bridge by the name of something else."""

    def __init__(self, name: str) -> None:
        super().__init__(f"existing interface {name} is not a bridge")
