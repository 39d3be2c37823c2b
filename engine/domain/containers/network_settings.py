"""Which networks a new container asks for. Pure."""

from collections.abc import Mapping

import msgspec

from engine.core.model.container import ContainerConfig, HostConfig
from engine.core.model.network import EndpointSettings


def requested_networks(
    asked: Mapping[str, EndpointSettings], host_config: HostConfig, config: ContainerConfig
) -> dict[str, EndpointSettings]:
    """Return the endpoints by network name: those asked for, and that of the network mode.

    Addresses that a client copied from an inspect answer are not requests: only `IPAMConfig` and `MacAddress` are.
    """
    mode = host_config.network_mode
    if mode.startswith("container:"):
        return {}
    name = "bridge" if mode in ("", "default") else mode
    wanted = {_real(n): _request(e, "") for n, e in asked.items()}
    wanted[name] = _request(asked.get(name) or asked.get("default") or EndpointSettings(), config.mac_address)
    return wanted if mode not in ("host", "none") else {name: wanted[name]}


def _real(name: str) -> str:
    return "bridge" if name == "default" else name


def _request(endpoint: EndpointSettings, mac_address: str) -> EndpointSettings:
    return EndpointSettings(
        ipam_config=endpoint.ipam_config,
        links=endpoint.links,
        aliases=endpoint.aliases,
        driver_opts=endpoint.driver_opts,
        gw_priority=endpoint.gw_priority,
        requested_mac=endpoint.mac_address or mac_address,
    )


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
        )
        for name, e in endpoints.items()
    }
