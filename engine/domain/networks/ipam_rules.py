"""What a client may say of a network's subnets, with dockerd's texts. Pure."""

import ipaddress
from collections.abc import Iterator, Sequence

from engine.core.model.network import IPAMPool
from engine.domain.networks.failures import InvalidNetworkConfig
from engine.domain.networks.ipam import IPNetwork


def require_valid_pools(pools: Sequence[IPAMPool]) -> None:
    """Raise InvalidNetworkConfig for all that is wrong."""
    problems = [problem for pool in pools for problem in _problems(pool)]
    if problems:
        raise InvalidNetworkConfig(problems)


def _problems(pool: IPAMPool) -> Iterator[str]:
    subnet = _parsed(pool.subnet)
    if subnet is None:
        yield f"invalid subnet {pool.subnet}: invalid CIDR block notation"
        return
    if str(subnet) != _canonical(pool.subnet):
        yield f"invalid subnet {pool.subnet}: it should be {subnet}"
    if pool.ip_range:
        yield from _range_problems(pool.ip_range, subnet)
    if pool.gateway and (problem := _address_problem(pool.gateway, subnet)):
        yield f"invalid gateway {pool.gateway}: {problem}"
    for name, address in (pool.auxiliary_addresses or {}).items():
        if problem := _address_problem(address, subnet):
            yield f"invalid auxiliary address {name}: {problem}"


def _range_problems(text: str, subnet: IPNetwork) -> Iterator[str]:
    limits = _parsed(text)
    if limits is None:
        yield f"invalid ip-range {text}: invalid CIDR block notation"
        return
    if limits.version != subnet.version:
        yield f"invalid ip-range {text}: {_other_family(subnet)}"
        return
    if str(limits) != _canonical(text):
        yield f"invalid ip-range {text}: it should be {limits}"
    if not limits.subnet_of(subnet):  # type: ignore[arg-type]
        yield f"invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"


def _address_problem(text: str, subnet: IPNetwork) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "invalid address"
    if address.version != subnet.version:
        return _other_family(subnet)
    return "" if address in subnet else f"parent subnet {subnet} doesn't contain this address"


def _other_family(subnet: IPNetwork) -> str:
    return f"parent subnet is an IPv{subnet.version} block"


def _parsed(text: str) -> IPNetwork | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _canonical(text: str) -> str:
    """Return the text with its address in the usual spelling, its host bits as they are."""
    interface = ipaddress.ip_interface(text)
    return f"{interface.ip}/{interface.network.prefixlen}"
