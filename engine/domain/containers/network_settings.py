"""Which networks a new container asks for, and what is left of their settings when it has ended. Pure."""

from collections.abc import Callable, Mapping

import msgspec

from engine.core.model.container import Container, ContainerConfig, HostConfig
from engine.core.model.network import EndpointSettings


def requested_networks(
    asked: Mapping[str, EndpointSettings],
    host_config: HostConfig,
    config: ContainerConfig,
    name_of: Callable[[str], str] = str,
) -> dict[str, EndpointSettings]:
    """Return the endpoints by network name: those asked for; where none is, that of the network mode.

    `name_of` turns what a client calls a network by, its id perhaps, into its name. Addresses that a client copied from
    an inspect answer are not requests: only `IPAMConfig` and `MacAddress` are.
    """
    mode = host_config.network_mode
    if mode.startswith("container:") or config.network_disabled:
        return {}
    name = name_of(_real(mode))
    wanted = {name_of(_real(n)): endpoint_request(e) for n, e in asked.items()}
    if mode in ("host", "none") or not wanted:
        return {name: wanted.get(name) or endpoint_request(EndpointSettings())}
    return wanted


def _real(name: str) -> str:
    return "bridge" if name in ("", "default") else name


def endpoint_request(endpoint: EndpointSettings) -> EndpointSettings:
    """Return what an endpoint asks for, without the addresses that a client may have copied."""
    return EndpointSettings(
        ipam_config=endpoint.ipam_config,
        links=endpoint.links,
        aliases=endpoint.aliases,
        driver_opts=endpoint.driver_opts,
        gw_priority=endpoint.gw_priority,
        requested_mac=endpoint.mac_address,
    )


def renamed(container: Container, name: str) -> dict[str, EndpointSettings]:
    """Return a container's endpoints with its new name among their DNS names, in place of the old one."""
    return {
        network: msgspec.structs.replace(
            e, dns_names=[name if n == container.name else n for n in e.dns_names] if e.dns_names else e.dns_names
        )
        for network, e in container.networks.items()
    }


def cleared(endpoints: Mapping[str, EndpointSettings]) -> dict[str, EndpointSettings]:
    """Return the endpoints of a container that has ended: what was asked for, and the network's id."""
    return {
        name: msgspec.structs.replace(
            e,
            endpoint_id="",
            gateway="",
            ip_address="",
            ip_prefix_len=0,
            ipv6_gateway="",
            global_ipv6_address="",
            global_ipv6_prefix_len=0,
            mac_address="",
            interface="",
        )
        for name, e in endpoints.items()
    }
