"""The body of `POST /containers/create`, and what each API version makes of it.

A client that speaks an older version gets what that version's daemon did: settings that were added later are dropped,
defaults that changed since keep their old value. The steps and texts are dockerd's (its route for this call).
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from engine.api.wire.codec import InvalidJSON, decode, lookup, parse
from engine.api.wire.names import json_name
from engine.api.wire.old_clients import adapt_config, adapt_host_config, adapt_networks, require_few_networks
from engine.core.errors import InvalidParameter
from engine.core.model.container import ContainerConfig, HostConfig
from engine.core.model.network import EndpointSettings

_CONFIG_KEYS = frozenset(json_name(f).lower() for f in ContainerConfig.__struct_fields__)
_MAC_WARNING = (
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
)


class EmptyConfig(InvalidParameter):
    """Nothing in the body belongs to a container's configuration."""

    def __init__(self) -> None:
        super().__init__("config cannot be empty in order to create a container")


class NoEndpointConfig(InvalidParameter):
    """A network is named and nothing said of it."""

    def __init__(self, network: str) -> None:
        super().__init__(f"invalid config for network {network}: EndpointsConfig is nil")


class MacConflict(InvalidParameter):
    """The container-wide hardware address fits no network, or contradicts one."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What a client wants, in today's terms.

    `readonly_is_shallow`: read-only binds do not reach the mounts below them, as before API 1.44.
    """

    config: ContainerConfig
    host_config: HostConfig
    networks: dict[str, EndpointSettings]
    warnings: tuple[str, ...] = ()
    readonly_is_shallow: bool = False


def decode_create(body: bytes, version: tuple[int, int]) -> CreateRequest:
    """Read a create request. Raises InvalidParameter with dockerd's texts."""
    value = parse(body)
    config, host_config, networks = _decode_parts(value)
    host_config = _with_runtime(host_config, value)
    host_config, networks = _with_real_network(host_config, networks)
    config = adapt_config(config, version)
    host_config = adapt_host_config(host_config, version)
    require_few_networks(networks, version)
    networks = adapt_networks(networks, config, version)
    networks, warnings = _place_mac_address(config, host_config, networks, version)
    return CreateRequest(
        config=msgspec.structs.replace(config, mac_address=""),
        host_config=host_config,
        networks=networks,
        warnings=warnings,
        readonly_is_shallow=version < (1, 44),
    )


def _decode_parts(value: Any) -> tuple[ContainerConfig, HostConfig, dict[str, EndpointSettings]]:
    if value is None:
        raise EmptyConfig
    if not isinstance(value, dict):
        raise InvalidJSON(f"json: cannot unmarshal {_json_kind(value)} into Go value of type container.CreateRequest")
    config = decode(value, ContainerConfig)
    host_config = decode(lookup(value, "HostConfig"), HostConfig, ".HostConfig")
    endpoints = _decode_endpoints(lookup(value, "NetworkingConfig"))
    if not any(key.lower() in _CONFIG_KEYS for key in value):
        raise EmptyConfig
    for name, endpoint in endpoints.items():
        if endpoint is None:
            raise NoEndpointConfig(name)
    return config, host_config, {name: e for name, e in endpoints.items() if e is not None}


def _with_runtime(host_config: HostConfig, value: dict[str, Any]) -> HostConfig:
    """docker-py puts `runtime=` at the top level, where dockerd overlooks it; who asks for a runtime shall get it."""
    runtime = lookup(value, "Runtime")
    if host_config.runtime or not isinstance(runtime, str):
        return host_config
    return msgspec.structs.replace(host_config, runtime=runtime)


def _decode_endpoints(networking: Any) -> dict[str, EndpointSettings | None]:
    path = ".NetworkingConfig"
    _require_object(networking, path, "network.NetworkingConfig")
    endpoints = lookup(networking or {}, "EndpointsConfig")
    path = f"{path}.EndpointsConfig"
    _require_object(endpoints, path, "map[string]*network.EndpointSettings")
    return {
        name: None if value is None else decode(value, EndpointSettings, f"{path}.{name}")
        for name, value in (endpoints or {}).items()
    }


def _require_object(value: Any, path: str, kind: str) -> None:
    if value is not None and not isinstance(value, dict):
        raise InvalidJSON(f"json: cannot unmarshal {_json_kind(value)} into Go struct field {path} of type {kind}")


def _json_kind(value: Any) -> str:
    return {list: "array", str: "string", bool: "bool"}.get(type(value), "number")


def _with_real_network(
    host_config: HostConfig, networks: dict[str, EndpointSettings]
) -> tuple[HostConfig, dict[str, EndpointSettings]]:
    """`default` is what some clients call the bridge."""
    if host_config.network_mode not in ("", "default"):
        return host_config, networks
    if "default" in networks:
        networks = {**networks, "bridge": networks["default"]}
        del networks["default"]
    return msgspec.structs.replace(host_config, network_mode="bridge"), networks


def _place_mac_address(
    config: ContainerConfig, host_config: HostConfig, networks: dict[str, EndpointSettings], version: tuple[int, int]
) -> tuple[dict[str, EndpointSettings], tuple[str, ...]]:
    """The container-wide address belongs to the endpoint of the network mode; API 1.44 deprecated it."""
    address, mode = config.mac_address, host_config.network_mode
    if not address:
        return networks, ()
    warnings = (_MAC_WARNING,) if version >= (1, 44) else ()
    if mode in ("host", "none") or mode.startswith("container:"):
        if version < (1, 44):
            raise MacConflict("conflicting options: mac-address and the network mode")
        return networks, warnings
    name = _main_network(networks, mode, version)
    endpoint = networks.get(name, EndpointSettings())
    if version >= (1, 44) and endpoint.mac_address not in ("", address):
        raise MacConflict(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, "
            "or be left empty"
        )
    return {**networks, name: msgspec.structs.replace(endpoint, mac_address=address)}, warnings


def _main_network(networks: dict[str, EndpointSettings], mode: str, version: tuple[int, int]) -> str:
    """Before API 1.44 there was one endpoint at most, whatever it was called."""
    if not networks or mode in networks:
        return mode
    if version < (1, 44):
        return next(iter(networks))
    raise MacConflict(
        "unable to migrate container-wide MAC address to a specific network: "
        "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks"
    )
