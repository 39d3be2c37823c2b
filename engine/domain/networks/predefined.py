"""The networks that are always there: `bridge`, `host` and `none`. Pure.

Their ids are kept; what `bridge` says of itself follows the daemon's settings at each start.
"""

import ipaddress

from engine.core import ids, times
from engine.core.errors import InvalidParameter
from engine.core.model.network import IPAMPool, Network
from engine.domain.networks.addresses import DEFAULT_GATEWAYS, first_host
from engine.domain.networks.ipam import IPNetwork
from engine.domain.networks.settings import NetworkSettings

NAMES = ("bridge", "host", "none")
_DRIVERS = {"host": "host", "none": "null"}


class InvalidBridgeAddress(InvalidParameter):
    """`--bip` or `--fixed-cidr` does not make sense."""

    def __init__(self, what: str, value: str) -> None:
        super().__init__(f"invalid {what}: {value}")


class GatewayOutsidePool(InvalidParameter):
    """`--default-gateway` names an address that is not on the bridge."""

    def __init__(self, version: int, address: str, subnet: str) -> None:
        super().__init__(
            f"auxiliary address: ({DEFAULT_GATEWAYS[version]}:{address}) must belong to the master pool: {subnet}"
        )


def is_predefined(name: str) -> bool:
    """Tell whether a network can be neither made nor removed by a client."""
    return name in (*NAMES, "default")


def plain(name: str, present: Network | None) -> Network:
    """Return the network `host` or `none`."""
    return present or Network(
        name=name, id=ids.new_id(), created_at=times.now(), driver=_DRIVERS[name], options={}, labels={}
    )


def bridge(settings: NetworkSettings, pools: list[IPAMPool], present: Network | None) -> Network:
    """Return the network `bridge` with the subnets that were chosen for it."""
    return Network(
        name="bridge",
        id=present.id if present else ids.new_id(),
        created_at=present.created_at if present else times.now(),
        enable_ipv6=settings.ipv6,
        pools=pools,
        options={
            "com.docker.network.bridge.default_bridge": "true",
            "com.docker.network.bridge.enable_icc": str(settings.icc).lower(),
            "com.docker.network.bridge.enable_ip_masquerade": str(settings.ip_masquerade).lower(),
            "com.docker.network.bridge.host_binding_ipv4": settings.host_ip,
            "com.docker.network.bridge.name": settings.bridge,
            "com.docker.network.driver.mtu": str(settings.mtu),
        },
        labels={},
    )


def own_address(pool: IPAMPool) -> str:
    """Return the bridge's own address in a subnet, as 172.17.0.1/16."""
    return f"{pool.gateway}/{ipaddress.ip_network(pool.subnet).prefixlen}"


def subnet_of_settings(settings: NetworkSettings) -> IPAMPool | None:
    """Return the subnet that `--bip` asks for, None without it. Raises InvalidBridgeAddress."""
    return subnet_of(settings.bip, settings) if settings.bip else None


def subnet_of_bridge(addresses: list[str] | None, settings: NetworkSettings) -> IPAMPool | None:
    """Return the subnet of a bridge that is there already and has an address."""
    return subnet_of(addresses[0], settings) if addresses else None


def subnet_of_pool(subnet: IPNetwork, settings: NetworkSettings) -> IPAMPool:
    """Return a subnet taken from the default pools."""
    return subnet_of(f"{first_host(subnet)}/{subnet.prefixlen}", settings)


def ipv6_subnet(settings: NetworkSettings) -> IPAMPool | None:
    """Return the IPv6 subnet that `--bip6` or else `--fixed-cidr-v6` asks for, None without either."""
    if settings.bip6:
        return subnet_of(settings.bip6, settings)
    if settings.fixed_cidr_v6:
        return subnet_of_pool(ipaddress.ip_network(settings.fixed_cidr_v6, strict=False), settings)
    return None


def subnet_of(own_address: str, settings: NetworkSettings) -> IPAMPool:
    """Return the subnet of the bridge's own address. Raises InvalidBridgeAddress, GatewayOutsidePool."""
    own = ipaddress.ip_interface(own_address)
    fixed_text, gateway = (
        (settings.fixed_cidr, settings.default_gateway)
        if own.version == 4
        else (settings.fixed_cidr_v6, settings.default_gateway_v6)
    )
    try:
        fixed = ipaddress.ip_network(fixed_text) if fixed_text else None
    except ValueError as error:
        raise InvalidBridgeAddress("bridge address or fixed CIDR", f"{own_address} {fixed_text}") from error
    if fixed is not None and not (fixed.version == own.version and fixed.subnet_of(own.network)):  # type: ignore[arg-type]
        raise InvalidBridgeAddress("fixed CIDR", fixed_text)
    if gateway and ipaddress.ip_address(gateway) not in own.network:
        raise GatewayOutsidePool(own.version, gateway, str(own.network))
    return IPAMPool(
        subnet=str(own.network),
        ip_range=str(fixed or ""),
        gateway=str(own.ip),
        auxiliary_addresses={DEFAULT_GATEWAYS[own.version]: gateway} if gateway else None,
    )
