"""Daemon start: the networks come up again, what running containers have is adopted, what nobody has is removed."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from engine.core.errors import WharfError
from engine.core.model.container import Container
from engine.domain.networks.addresses import AddressBook
from engine.domain.networks.attach import Attacher, Kernel, Live
from engine.domain.networks.bridges import BridgeDriver
from engine.domain.networks.endpoints import Endpoint, host_link
from engine.domain.networks.gateways import Pair, choose, port_target
from engine.domain.networks.ports import Published
from engine.domain.networks.resolver import has_names
from engine.domain.networks.sandbox import request_of
from engine.domain.networks.table import NetworkTable

log = logging.getLogger(__name__)


class NetworkRestorer:
    """Brings what the records say and what the kernel has together again."""

    def __init__(
        self, table: NetworkTable, book: AddressBook, bridges: BridgeDriver, attacher: Attacher, kernel: Kernel
    ) -> None:
        self._table = table
        self._book = book
        self._bridges = bridges
        self._endpoints = attacher.endpoints
        self._attacher = attacher
        self._kernel = kernel

    async def restore(self, running: Mapping[str, Container], tag: str) -> None:
        """Adopt running containers, put all rules in force in one transaction, remove everything else of ours."""
        ids = {container.name: container.id for container in running.values()}
        lives = {c.id: self._adopt(c, tag, _links(c, ids)) for c in running.values() if not _shares(c)}
        rules = [r for live in lives.values() for r in live.published.rules]
        rules += self._attacher.links.adopt([live.request for live in lives.values()])
        await self._kernel.firewall.replace(self._bridges.rules(), rules)
        for live in lives.values():
            for relayed in live.published.relayed:
                await self._kernel.relay.open(relayed)
        for container_id, live in lives.items():
            await self._serve_names(container_id, live)
        await self._remove_orphans(tag, (live.namespace for live in lives.values()))

    def _adopt(self, container: Container, tag: str, links: Sequence[str]) -> Live:
        connected = list(self._adopted(container, tag))
        on_host = container.host_config.network_mode == "host"
        namespace = "" if on_host else container.sandbox.netns.rpartition("/")[2]
        live = Live(request_of(container, links=links), namespace, self._ports(container, connected))
        self._attacher.adopt(container.id, live)
        return live

    def _adopted(self, container: Container, tag: str) -> Iterable[Pair]:
        for name, settings in container.networks.items():
            network = self._table.find(settings.network_id) or self._table.find(name)
            if network is None or not settings.endpoint_id:
                continue
            is_open = self._book.is_open(network.id)
            endpoint = Endpoint(
                id=settings.endpoint_id,
                network_id=network.id,
                network=network.name,
                container_id=container.id,
                container=container.name,
                settings=settings,
                host_link=host_link(tag, settings.endpoint_id) if is_open and network.driver == "bridge" else "",
            )
            try:
                if is_open:
                    self._book.get(network.id).take_again(settings)
            except WharfError as error:
                log.error("container %s on network %s: %s", container.name, network.name, error)
            self._endpoints.add(endpoint)
            yield network, endpoint

    def _ports(self, container: Container, connected: list[Pair]) -> Published:
        ports = container.sandbox.ports
        target = port_target(choose(connected), direct_routing=self._kernel.direct_routing)
        if not any(ports.values()):
            return Published(list(ports), target=target)
        return self._kernel.publisher.adopt(request_of(container), ports, target)

    async def _serve_names(self, container_id: str, live: Live) -> None:
        """Start the container's DNS server again: it ended with the previous daemon."""
        networks = (self._table.find(e.network_id) for e in self._endpoints.of_container(container_id))
        if not any(n is not None and has_names(n) for n in networks):
            return
        try:
            sockets = await self._kernel.netlink.inside(live.namespace, self._kernel.dns.open_inside)
            await self._kernel.serve_names(live, sockets)
        except OSError as error:
            log.error("container %s has no name server: %s", live.request.name, error)

    async def _remove_orphans(self, tag: str, namespaces: Iterable[str]) -> None:
        netlink = self._kernel.netlink
        kept = set(namespaces)
        for name in await netlink.namespaces():
            if name not in kept:
                await netlink.remove_namespace(name)
        held = {e.host_link for e in self._endpoints.all()}
        links = [n for n in await netlink.link_names() if n.startswith(f"veth{tag}") and n not in held]
        if links:
            await netlink.remove_links(links)


def _links(container: Container, ids: Mapping[str, str]) -> list[str]:
    """Return the IDs of the containers that a container has links to, of those in `ids`, which are by name."""
    names = [text.partition(":")[0] for text in container.host_config.links or ()]
    return [ids[name] for name in names if name in ids]


def _shares(container: Container) -> bool:
    return container.host_config.network_mode.startswith("container:")
