"""The endpoints that exist: which container is on which network, under which addresses."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from engine.core.model.network import EndpointSettings


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running container's attachment to a network. Addresses are empty where there are none."""

    id: str
    network_id: str
    network: str
    container_id: str
    container: str
    settings: EndpointSettings
    host_link: str = ""


class Endpoints:
    """All endpoints, by network and by container."""

    def __init__(self) -> None:
        self._by_network: dict[str, dict[str, Endpoint]] = defaultdict(dict)
        self._by_container: dict[str, dict[str, Endpoint]] = defaultdict(dict)

    def add(self, endpoint: Endpoint) -> None:
        """Add or replace an endpoint."""
        self._by_network[endpoint.network_id][endpoint.container_id] = endpoint
        self._by_container[endpoint.container_id][endpoint.network_id] = endpoint

    def remove(self, endpoint: Endpoint) -> None:
        """Forget an endpoint. Idempotent."""
        _discard(self._by_network, endpoint.network_id, endpoint.container_id)
        _discard(self._by_container, endpoint.container_id, endpoint.network_id)

    def on_network(self, network_id: str) -> list[Endpoint]:
        """Return a network's endpoints."""
        return list(self._by_network.get(network_id, {}).values())

    def of_container(self, container_id: str) -> list[Endpoint]:
        """Return a container's endpoints, in the order in which they were made."""
        return list(self._by_container.get(container_id, {}).values())

    def find(self, container_id: str, network_id: str) -> Endpoint | None:
        """Return a container's endpoint on a network."""
        return self._by_container.get(container_id, {}).get(network_id)

    def all(self) -> Iterable[Endpoint]:
        """Return every endpoint."""
        return [e for of_network in self._by_network.values() for e in of_network.values()]


def _discard(table: dict[str, dict[str, Endpoint]], first: str, second: str) -> None:
    inner = table.get(first)
    if inner is not None:
        inner.pop(second, None)
        if not inner:
            del table[first]


def link_tag(place: str) -> str:
    """Return what marks the veths of the daemon whose namespaces are at `place`."""
    return hashlib.sha256(place.encode()).hexdigest()[:4]


def host_link(tag: str, endpoint_id: str) -> str:
    """Return the name of an endpoint's veth on the host: 15 characters, the most that the kernel takes."""
    return f"veth{tag}{endpoint_id[:7]}"
