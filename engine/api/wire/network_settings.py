"""A container's networks in its JSON: one object for each endpoint, and the fields of the time before networks."""

from typing import Any

from engine.api.wire.codec import encode
from engine.api.wire.ports import encode_bindings
from engine.core import ids
from engine.core.model.container import Container
from engine.core.model.network import EndpointSettings

_PREDEFINED = ("bridge", "host", "none", "default")
_LEGACY = {
    "EndpointID": "endpoint_id",
    "Gateway": "gateway",
    "GlobalIPv6Address": "global_ipv6_address",
    "GlobalIPv6PrefixLen": "global_ipv6_prefix_len",
    "IPAddress": "ip_address",
    "IPPrefixLen": "ip_prefix_len",
    "IPv6Gateway": "ipv6_gateway",
    "MacAddress": "mac_address",
}
_NOT_LISTED = {"Links": None, "Aliases": None, "DriverOpts": None, "DNSNames": None}
_NOT_CONNECTED = EndpointSettings()


def encode_network_settings(container: Container, version: tuple[int, int]) -> dict[str, Any]:
    """Return `NetworkSettings` of an inspect answer. The legacy fields speak of the default bridge only."""
    sandbox = container.sandbox
    bridge = container.networks.get("bridge", _NOT_CONNECTED)
    result: dict[str, Any] = {
        "Bridge": "",
        "SandboxID": sandbox.id,
        "SandboxKey": sandbox.netns,
        "Ports": encode_bindings(sandbox.ports),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
    }
    for name, field in _LEGACY.items():
        result[name] = getattr(bridge, field)
    if not result["MacAddress"] and not container.state.started_at:
        result["MacAddress"] = bridge.requested_mac
    result["Networks"] = encode_endpoints(container, version)
    return result


def encode_endpoints(container: Container, version: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Return the endpoints by network. Before API 1.45 the short id was among a container's aliases."""
    result = {}
    for name, endpoint in sorted(container.networks.items()):
        encoded = encode(endpoint)
        if not encoded["MacAddress"] and not container.state.started_at:
            encoded["MacAddress"] = endpoint.requested_mac
        if version < (1, 45) and name not in _PREDEFINED:
            extra = (ids.short(container.id), container.config.hostname)
            encoded["Aliases"] = list(dict.fromkeys([*(endpoint.aliases or ()), *extra]))
        result[name] = encoded
    return result


def encode_listed_endpoints(container: Container) -> dict[str, dict[str, Any]]:
    """Return the endpoints as a list of containers has them: where they are, not what was asked for."""
    result = {}
    for name, endpoint in sorted(container.networks.items()):
        encoded = encode(endpoint)
        if not encoded["MacAddress"] and not container.state.started_at:
            encoded["MacAddress"] = endpoint.requested_mac
        encoded.update(_NOT_LISTED)
        result[name] = encoded
    return result
