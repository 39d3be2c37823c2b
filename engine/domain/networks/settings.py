"""The daemon's settings that concern networks."""

from dataclasses import dataclass

DEFAULT_MTU = 1500


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
    the prefix length (empty: chosen), `fixed_cidr` the part of its subnet that containers get addresses from, `host_ip`
    the address that ports are published on where a client names none. `userland_proxy` asks for what only a proxy can
    do: ports published on IPv6 addresses for containers without IPv6. `dns`: the name servers that containers'
    questions are passed on to; none: the host's.
    """

    bridge: str = "docker0"
    bip: str = ""
    fixed_cidr: str = ""
    default_gateway: str = ""
    mtu: int = DEFAULT_MTU
    icc: bool = True
    ip_masquerade: bool = True
    ip_forward: bool = True
    userland_proxy: bool = True
    host_ip: str = "0.0.0.0"
    dns: tuple[str, ...] = ()
    default_address_pools: tuple[AddressPool, ...] = DEFAULT_POOLS
