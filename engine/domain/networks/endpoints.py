"""The endpoints that exist: which container is on which network, under which addresses."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

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
        self._names: dict[tuple[str, str], list[Endpoint]] = defaultdict(list)

    def add(self, endpoint: Endpoint) -> None:
        """Add an endpoint, in place of the container's earlier one on that network."""
        if present := self.find(endpoint.container_id, endpoint.network_id):
            self.remove(present)
        for key in _name_keys(endpoint):
            self._names[key].append(endpoint)
        self._by_network[endpoint.network_id][endpoint.container_id] = endpoint
        self._by_container[endpoint.container_id][endpoint.network_id] = endpoint

    def rename(self, container_id: str, name: str) -> None:
        """Let a container's endpoints, and the names on their networks, follow its new name."""
        for endpoint in self.of_container(container_id):
            names = endpoint.settings.dns_names
            renamed = [name if n == endpoint.container else n for n in names] if names else names
            settings = msgspec.structs.replace(endpoint.settings, dns_names=renamed)
            self.add(replace(endpoint, container=name, settings=settings))

    def remove(self, endpoint: Endpoint) -> None:
        """Forget an endpoint. Idempotent."""
        for key in _name_keys(endpoint):
            named = [e for e in self._names.get(key, ()) if e.id != endpoint.id]
            self._names.pop(key, None)
            if named:
                self._names[key] = named
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

    def named(self, network_id: str, name: str) -> list[Endpoint]:
        """Return a network's endpoints that have a name; it is in lower case."""
        return self._names.get((network_id, name), [])

    def all(self) -> Iterable[Endpoint]:
        """Return every endpoint."""
        return [e for of_network in self._by_network.values() for e in of_network.values()]


def _discard(table: dict[str, dict[str, Endpoint]], first: str, second: str) -> None:
    inner = table.get(first)
    if inner is not None:
        inner.pop(second, None)
        if not inner:
            del table[first]


def _name_keys(endpoint: Endpoint) -> list[tuple[str, str]]:
    return [(endpoint.network_id, name) for name in {n.lower() for n in endpoint.settings.dns_names or ()}]


def link_tag(place: str) -> str:
    """Return what marks the veths of the daemon whose namespaces are at `place`."""
    return hashlib.sha256(place.encode()).hexdigest()[:4]


def host_link(tag: str, endpoint_id: str) -> str:
    """Return the name of an endpoint's veth on the host: 15 characters, the most that the kernel takes."""
    return f"veth{tag}{endpoint_id[:7]}"
