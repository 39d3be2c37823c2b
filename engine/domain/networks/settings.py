"""The daemon's settings that concern networks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_MTU = 1500
ALL_ADDRESSES = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class AddressPool:
    """Addresses to cut subnets from: `base` such as 172.18.0.0/16, `size` the prefix length of each subnet."""

    base: str
    size: int


# The first is the default bridge's, as with dockerd; the others make room for some five hundred networks, not thirty.
DEFAULT_POOLS = (
    AddressPool("172.17.0.0/16", 16),
    *(AddressPool(f"172.{second}.0.0/16", 20) for second in range(18, 32)),
    AddressPool("192.168.0.0/16", 24),
)


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """What flags and `daemon.json` say.

    `bridge` is the default bridge's name; `none` means that there is no network `bridge`. `bip` is its own address with
    the prefix length (empty: chosen), `fixed_cidr` the part of its subnet that containers get addresses from,
    `default_gateway` what they take for their gateway (empty: the bridge), `host_ip` the address that its ports are
    published on where a client names none; fields in 6 or v6 are for IPv6, which it has with `ipv6`.
    `network_options`: by driver, those of networks that a client makes. `forward_drop`: where the daemon lets the host
    route, it lets nothing but containers' packets through. `direct_routing`: published ports are open at containers'
    own addresses, too. `userland_proxy` asks for what only a proxy can
    do: ports published on IPv6 addresses for containers without IPv6. `dns`: the name servers that containers'
    questions are passed on to; none: the host's.
    """

    bridge: str = "docker0"
    bip: str = ""
    bip6: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    default_gateway_v6: str = ""
    ipv6: bool = False
    mtu: int = DEFAULT_MTU
    icc: bool = True
    ip_masquerade: bool = True
    ip_forward: bool = True
    forward_drop: bool = True
    direct_routing: bool = False
    userland_proxy: bool = True
    host_ip: str = ALL_ADDRESSES
    dns: tuple[str, ...] = ()
    default_address_pools: tuple[AddressPool, ...] = DEFAULT_POOLS
    network_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
