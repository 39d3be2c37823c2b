"""The options of a bridge network, as clients write them. Pure."""

from collections.abc import Mapping

from engine.core.model.network import Network
from engine.domain.networks.failures import InvalidOption
from engine.domain.networks.settings import DEFAULT_MTU

_PREFIX = "com.docker.network.bridge."
NAME = f"{_PREFIX}name"
ICC = f"{_PREFIX}enable_icc"
MASQUERADE = f"{_PREFIX}enable_ip_masquerade"
HOST_BINDING = f"{_PREFIX}host_binding_ipv4"
MTU = "com.docker.network.driver.mtu"
CONTAINER_PREFIX = "com.docker.network.container_iface_prefix"
_FALSE = ("0", "f", "false")
_TRUTHS = ("1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False")


def require_valid(given: Mapping[str, str]) -> None:
    """Raise InvalidOption for a value of the wrong type."""
    if (mtu_text := given.get(MTU, "")) and not mtu_text.lstrip("+-").isdigit():
        raise InvalidOption(MTU, mtu_text, "Atoi")
    for option in (ICC, MASQUERADE):
        if (text := given.get(option, "")) and text not in _TRUTHS:
            raise InvalidOption(option, text, "ParseBool")


def bridge_name(network: Network) -> str:
    """Return the name of the network's bridge."""
    return _text(network, NAME) or f"br-{network.id[:12]}"


def mtu(network: Network, default: int = DEFAULT_MTU) -> int:
    """Return the MTU of the network's links."""
    text = _text(network, MTU)
    return int(text) if text.isdigit() and int(text) else default


def icc(network: Network) -> bool:
    """Tell whether containers reach one another."""
    return _text(network, ICC).lower() not in _FALSE


def masquerade(network: Network) -> bool:
    """Tell whether containers reach the outside under the host's address."""
    return _text(network, MASQUERADE).lower() not in _FALSE and not network.internal


def host_binding(network: Network) -> str:
    """Return the address that ports are published on where a client names none; empty: the daemon's."""
    return _text(network, HOST_BINDING)


def interface_prefix(network: Network) -> str:
    """Return what a container's interfaces are called before their number."""
    return _text(network, CONTAINER_PREFIX) or "eth"


def _text(network: Network, option: str) -> str:
    return (network.options or {}).get(option, "")
