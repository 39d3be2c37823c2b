"""Networks, endpoints and published ports."""

from msgspec import Struct


class PortBinding(Struct, frozen=True, kw_only=True):
    """Where a container port is published: an address of the host (empty: all) and a port or range of ports."""

    host_ip: str = ""
    host_port: str = ""


class EndpointIPAMConfig(Struct, frozen=True, kw_only=True):
    """Addresses that a client asked for."""

    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: list[str] | None = None


class EndpointSettings(Struct, frozen=True, kw_only=True):
    """A container's attachment to a network: what was asked for, and, while it runs, what it got.

    `requested_mac` and `interface` (the interface's name in the container) are ours, not Docker's.
    """

    ipam_config: EndpointIPAMConfig | None = None
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    dns_names: list[str] | None = None
    requested_mac: str = ""
    interface: str = ""


class IPAMPool(Struct, frozen=True, kw_only=True):
    """One subnet of a network."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary_addresses: dict[str, str] | None = None


class IPAM(Struct, frozen=True, kw_only=True):
    """A network's address management."""

    driver: str = "default"
    options: dict[str, str] | None = None
    config: list[IPAMPool] | None = None


class Network(Struct, frozen=True, kw_only=True):
    """One network. `driver` is bridge, macvlan, ipvlan, host or null.

    `ipam` is what a client asked for, `pools` the subnets that the network has, complete with their gateways.
    `keeps_link`: its bridge, or the interface that it hangs on, was there before it and stays when it goes.
    `pool_ids`: what an IPAM plugin calls its subnets, by subnet.
    `config_only`: nothing but settings, which networks take that name it in `config_from`.
    """

    name: str
    id: str
    created_at: int
    scope: str = "local"
    driver: str = "bridge"
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    ipam: IPAM = IPAM()
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    pools: list[IPAMPool] = []
    pool_ids: dict[str, str] | None = None
    keeps_link: bool = False
    config_only: bool = False
    config_from: str = ""
