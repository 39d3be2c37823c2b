"""The options of a bridge network, as clients write them. Pure."""

import ipaddress
from collections.abc import Callable, Mapping
from enum import StrEnum

from engine.core.model.network import Network
from engine.domain.networks.failures import InvalidMtu, InvalidOption, IsolatedNotInternal
from engine.domain.networks.settings import DEFAULT_MTU

_PREFIX = "com.docker.network.bridge."
NAME = f"{_PREFIX}name"
ICC = f"{_PREFIX}enable_icc"
MASQUERADE = f"{_PREFIX}enable_ip_masquerade"
HOST_BINDING = f"{_PREFIX}host_binding_ipv4"
INHIBIT_IPV4 = f"{_PREFIX}inhibit_ipv4"
TRUSTED = f"{_PREFIX}trusted_host_interfaces"
GATEWAY_MODES = {4: f"{_PREFIX}gateway_mode_ipv4", 6: f"{_PREFIX}gateway_mode_ipv6"}
ENABLE = {4: "com.docker.network.enable_ipv4", 6: "com.docker.network.enable_ipv6"}
SOURCES = {4: "com.docker.network.host_ipv4", 6: "com.docker.network.host_ipv6"}
MTU = "com.docker.network.driver.mtu"
CONTAINER_PREFIX = "com.docker.network.container_iface_prefix"
_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_TRUE = ("1", "t", "T", "true", "TRUE", "True")


class GatewayMode(StrEnum):
    """How a bridge's containers are reached from outside in one family."""

    NAT = "nat"
    UNPROTECTED = "nat-unprotected"
    ROUTED = "routed"
    ISOLATED = "isolated"


def require_valid(given: Mapping[str, str], *, internal: bool = False) -> None:
    """Raise InvalidOption and its like for values that are none."""
    for option, problem_of in _CHECKS.items():
        text = given.get(option, "")
        if text and (problem := problem_of(text)):
            raise InvalidOption(option, text, problem)
    if given.get(MTU, "").startswith("-"):
        raise InvalidMtu(given[MTU])
    if not internal and GatewayMode.ISOLATED in (given.get(mode) for mode in GATEWAY_MODES.values()):
        raise IsolatedNotInternal


def _number_problem(text: str) -> str:
    return "" if text.lstrip("+-").isdigit() else f'strconv.Atoi: parsing "{text}": invalid syntax'


def _truth_problem(text: str) -> str:
    return "" if text in _TRUE + _FALSE else f'strconv.ParseBool: parsing "{text}": invalid syntax'


def _mode_problem(text: str) -> str:
    return "" if text in set(GatewayMode) else f"unknown gateway mode {text}"


def _address_problem(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return "nil ip"
    return ""


_CHECKS: dict[str, Callable[[str], str]] = {
    MTU: _number_problem,
    ICC: _truth_problem,
    MASQUERADE: _truth_problem,
    INHIBIT_IPV4: _truth_problem,
    HOST_BINDING: _address_problem,
    SOURCES[4]: _address_problem,
    SOURCES[6]: _address_problem,
    GATEWAY_MODES[4]: _mode_problem,
    GATEWAY_MODES[6]: _mode_problem,
}


def bridge_name(network: Network) -> str:
    """Return the name of the network's bridge."""
    return _text(network, NAME) or f"br-{network.id[:12]}"


def mtu(network: Network, default: int = DEFAULT_MTU) -> int:
    """Return the MTU of the network's links."""
    text = _text(network, MTU)
    return int(text) if text.isdigit() and int(text) else default


def icc(network: Network) -> bool:
    """Tell whether containers reach one another."""
    return _text(network, ICC) not in _FALSE


def masquerade(network: Network, version: int) -> bool:
    """Tell whether containers reach the outside under the host's address of a family."""
    translated = gateway_mode(network, version) in (GatewayMode.NAT, GatewayMode.UNPROTECTED)
    return translated and _text(network, MASQUERADE) not in _FALSE and not network.internal


def source(network: Network, version: int) -> str:
    """Return the host's address that containers reach the outside under; empty: the one that the way out has."""
    return _text(network, SOURCES[version])


def gateway_mode(network: Network, version: int) -> GatewayMode:
    """Return how containers are reached from outside."""
    return GatewayMode(_text(network, GATEWAY_MODES[version]) or GatewayMode.NAT)


def trusted_interfaces(network: Network) -> tuple[str, ...]:
    """Return the host's interfaces from which published ports are reached at containers' own addresses, too."""
    return tuple(name for name in _text(network, TRUSTED).split(":") if name)


def inhibit_ipv4(network: Network) -> bool:
    """Tell whether the bridge is left without an IPv4 address."""
    return _text(network, INHIBIT_IPV4) in _TRUE


def host_binding(network: Network) -> str:
    """Return the address that ports are published on where a client names none; empty: the daemon's."""
    return _text(network, HOST_BINDING)


def interface_prefix(network: Network) -> str:
    """Return what a container's interfaces are called before their number."""
    return (_text(network, CONTAINER_PREFIX) if network.driver == "bridge" else "") or "eth"


def enabled(given: Mapping[str, str], version: int, *, default: bool) -> bool:
    """Tell whether a network has a family: an option of the network says so, or else its field."""
    text = given.get(ENABLE[version], "")
    return text in _TRUE if text else default


def _text(network: Network, option: str) -> str:
    return (network.options or {}).get(option, "")
