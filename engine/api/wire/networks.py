"""Networks between Docker's JSON and the model."""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.api.wire.codec import encode
from engine.core import times
from engine.core.model.network import IPAM, EndpointSettings, IPAMPool, Network
from engine.domain.networks.endpoints import Endpoint
from engine.domain.networks.request import NetworkRequest


class ConfigFrom(msgspec.Struct, frozen=True, kw_only=True):
    """The network whose settings another one takes."""

    network: str = ""


class CreateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /networks/create`."""

    name: str = ""
    driver: str = ""
    scope: str = ""
    ipam: IPAM | None = None
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigFrom | None = None
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None

    def request(self) -> NetworkRequest:
        """Return what the domain is asked for."""
        return NetworkRequest(
            name=self.name,
            driver=self.driver,
            scope=self.scope,
            ipam=self.ipam or IPAM(),
            enable_ipv4=self.enable_ipv4 is not False,
            enable_ipv6=bool(self.enable_ipv6),
            internal=self.internal,
            attachable=self.attachable,
            ingress=self.ingress,
            config_only=self.config_only,
            config_from=self.config_from.network if self.config_from else "",
            options=self.options or {},
            labels=self.labels or {},
        )


class ConnectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /networks/{id}/connect`."""

    container: str = ""
    endpoint_config: EndpointSettings | None = None


class DisconnectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /networks/{id}/disconnect`."""

    container: str = ""
    force: bool = False


def encode_network(network: Network, endpoints: Mapping[str, Endpoint]) -> dict[str, Any]:
    """Return a network as inspect shows it. A list shows no containers: `endpoints` is empty then."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": times.rfc3339(network.created_at),
        "Scope": network.scope,
        "Driver": network.driver,
        "EnableIPv4": network.enable_ipv4,
        "EnableIPv6": network.enable_ipv6,
        "IPAM": _ipam(network),
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": network.ingress,
        "ConfigFrom": {"Network": network.config_from},
        "ConfigOnly": network.config_only,
        "Containers": {container_id: _container(e) for container_id, e in endpoints.items()},
        "Options": network.options or {},
        "Labels": network.labels or {},
    }


def _ipam(network: Network) -> dict[str, Any]:
    """Subnets that a client asked for are shown as it did so, the others with their gateway."""
    asked = [p for p in network.ipam.config or () if p.subnet]
    chosen = [p for p in network.pools if p.subnet not in {a.subnet for a in asked}]
    pools: list[IPAMPool] = [*asked, *chosen]
    config = [encode(p) for p in pools] if pools else None
    return {"Driver": network.ipam.driver or "default", "Options": network.ipam.options, "Config": config}


def _container(endpoint: Endpoint) -> dict[str, Any]:
    settings = endpoint.settings
    return {
        "Name": endpoint.container,
        "EndpointID": endpoint.id,
        "MacAddress": settings.mac_address,
        "IPv4Address": f"{settings.ip_address}/{settings.ip_prefix_len}" if settings.ip_address else "",
        "IPv6Address": (
            f"{settings.global_ipv6_address}/{settings.global_ipv6_prefix_len}" if settings.global_ipv6_address else ""
        ),
    }
