"""What an endpoint of a new container may ask of its network, with dockerd's texts. Pure."""

import ipaddress
import re
from collections.abc import Iterable, Sequence

from engine.core.errors import InvalidParameter
from engine.core.model.network import EndpointIPAMConfig, EndpointSettings, Network
from engine.domain.networks.endpoint_options import sysctl_problems

_Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network
_PREDEFINED = ("bridge", "host", "none", "default")
_MAC = re.compile(
    r"[0-9a-fA-F]{2}(?:([:-])[0-9a-fA-F]{2})(?:\1[0-9a-fA-F]{2}){4}|(?:[0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"
)


class InvalidEndpoint(InvalidParameter):
    """An endpoint asks for something that its network cannot give."""

    def __init__(self, network: str, problem: str) -> None:
        super().__init__(f"invalid config for network {network}: {problem}")


def require_valid_endpoint(name: str, endpoint: EndpointSettings, network: Network | None) -> None:
    """Raise InvalidEndpoint. `network` is None where it does not exist yet: that is found out at the start."""
    if endpoint.mac_address and not _MAC.fullmatch(endpoint.mac_address):
        raise InvalidEndpoint(name, f"invalid MAC address {endpoint.mac_address}")
    problems = endpoint_problems(name, endpoint, network)
    if problems:
        listed = problems[0] if len(problems) == 1 else "\n".join(f"* {p}" for p in problems)
        raise InvalidEndpoint(name, f"invalid endpoint settings:\n{listed}")


def endpoint_problems(name: str, endpoint: EndpointSettings, network: Network | None) -> list[str]:
    """Return everything that is wrong with an endpoint's settings, in dockerd's order and words."""
    problems: list[str] = []
    predefined = name in _PREDEFINED
    asked = endpoint.ipam_config or EndpointIPAMConfig()
    if predefined and (asked.ipv4_address or asked.ipv6_address):
        problems.append("user specified IP address is supported on user defined networks only")
    problems += _malformed(asked)
    if predefined and endpoint.aliases:
        problems.append("network-scoped alias is supported only for containers in user defined networks")
    problems += sysctl_problems(endpoint.driver_opts)
    if network is not None:
        problems += _outside(asked, () if predefined else tuple(_subnets(network)))
    return problems


def _malformed(asked: EndpointIPAMConfig) -> list[str]:
    problems = []
    if asked.ipv4_address and not _is_address(asked.ipv4_address, 4):
        problems.append(f"invalid IPv4 address: {asked.ipv4_address}")
    if asked.ipv6_address and not _is_address(asked.ipv6_address, 6):
        problems.append(f"invalid IPv6 address: {asked.ipv6_address}")
    for text in asked.link_local_ips or ():
        if not (_is_address(text, 4) or _is_address(text, 6)):
            problems.append(f"invalid link-local IP address: {text}")
    return problems


def _is_address(text: str, family: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == family
    except ValueError:
        return False


def _outside(asked: EndpointIPAMConfig, subnets: Sequence[_Subnet]) -> list[str]:
    problems = []
    for address, family in ((asked.ipv4_address, 4), (asked.ipv6_address, 6)):
        if not address:
            continue
        fitting = [s for s in subnets if s.version == family]
        if not fitting:
            problems.append(
                "user specified IP address is supported only when connecting to networks with user configured subnets"
            )
        elif _is_address(address, family) and not any(ipaddress.ip_address(address) in s for s in fitting):
            problems.append(f"no configured subnet or ip-range contain the IP address {address}")
    return problems


def _subnets(network: Network) -> Iterable[_Subnet]:
    """The subnets that a user chose; the daemon chose those of a network that was made without."""
    for pool in network.ipam.config or ():
        if pool.subnet:
            yield ipaddress.ip_network(pool.subnet, strict=False)
