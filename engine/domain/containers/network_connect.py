"""`docker network connect` and `disconnect`, of containers that run and of those that do not."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.core import ids
from engine.core.errors import Internal, InvalidParameter, NotFound
from engine.core.model.container import Container, Status
from engine.core.model.network import EndpointSettings, Network
from engine.domain.containers import etc_files
from engine.domain.containers.endpoint_rules import endpoint_problems
from engine.domain.containers.network_settings import endpoint_request
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.sandbox import SandboxPreparer
from engine.domain.containers.table import ContainerTable
from engine.domain.networks.networks import Networks
from engine.domain.networks.plan import dns_names
from engine.domain.networks.sandbox import request_of


class EmptyContainerName(InvalidParameter):
    """A request that names no container."""

    def __init__(self) -> None:
        super().__init__('invalid name or ID supplied: ""')


class InvalidEndpointSettings(InvalidParameter):
    """An endpoint asks for something that its network cannot give."""

    def __init__(self, problems: list[str]) -> None:
        listed = problems[0] if len(problems) == 1 else "\n".join(f"* {p}" for p in problems)
        super().__init__(f"invalid endpoint settings:\n{listed}")


class NetworkShared(InvalidParameter):
    """The container has no network of its own."""

    def __init__(self) -> None:
        super().__init__(
            "container sharing network namespace with another container or host "
            "cannot be connected to any other network"
        )


class NetworkPrivate(InvalidParameter):
    """`none` goes with no other network."""

    def __init__(self) -> None:
        super().__init__(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )


class HostNetworkFixed(InvalidParameter):
    """The host's network is a container's from the start or never."""


class EndpointNotFound(NotFound):
    """Forced disconnection of a container that is not there."""

    def __init__(self, container: str) -> None:
        super().__init__(f"endpoint {container} not found")


class NotOnNetwork(Internal):
    """A container that does not run is not on that network; dockerd answers 500."""

    def __init__(self, container_id: str, network: str) -> None:
        super().__init__(f"container {container_id} is not connected to the network {network}")


class NetworkConnector:
    """Changes which networks a container is on."""

    def __init__(
        self, table: ContainerTable, networks: Networks, paths: ContainerPaths, sandbox: SandboxPreparer
    ) -> None:
        self._sandbox = sandbox
        self._table = table
        self._networks = networks
        self._paths = paths

    async def connect(self, network_reference: str, reference: str, asked: EndpointSettings | None) -> None:
        """Put a container on a network; without `asked` as it was asked for before.

        Raises WharfError with dockerd's text; nothing has changed then.
        """
        if not reference:
            raise EmptyContainerName
        async with self._table.lock(self._table.get(reference).id):
            container = self._table.get(reference)
            network = self._networks.get(network_reference)
            _require_connectable(container, network)
            endpoint = asked or container.networks.get(network.name, EndpointSettings())
            problems = endpoint_problems(network.name, endpoint, network)
            if problems:
                raise InvalidEndpointSettings(problems)
            await self._connect(container, network, endpoint_request(endpoint))

    async def _connect(self, container: Container, network: Network, wanted: EndpointSettings) -> None:
        request = request_of(container)
        if not _is_live(container):
            names = dns_names(request, network, wanted.aliases)
            settings = msgspec.structs.replace(wanted, dns_names=names)
            await self._record(container, {**container.networks, network.name: settings})
            return
        settings = await self._networks.connect(request, network, wanted)
        connected = await self._record(container, {**container.networks, network.name: settings})
        await self._sandbox.rewrite_resolv_conf(connected)
        hostname = container.config.hostname or ids.short(container.id)
        names_text = etc_files.own_names(hostname, container.config.domainname)
        await self._edit_hosts(container.id, lambda text: _with_addresses(text, settings, names_text))

    async def disconnect(self, network_reference: str, reference: str, *, force: bool) -> None:
        """Take a container off a network. Raises WharfError with dockerd's text."""
        found = self._find(reference, force=force)
        async with self._table.lock(found.id):
            container = self._table.get(found.id)
            network = self._networks.get(network_reference)
            if network.driver == "host":
                raise HostNetworkFixed(
                    "cannot disconnect container from host network - container was created in host network mode"
                )
            if not _is_live(container) and network.name not in container.networks:
                raise NotOnNetwork(container.id, network.name)
            await self._disconnect(container, network)

    def _find(self, reference: str, *, force: bool) -> Container:
        try:
            return self._table.get(reference)
        except NotFound as error:
            if force:
                raise EndpointNotFound(reference) from error
            raise

    async def _disconnect(self, container: Container, network: Network) -> None:
        if _is_live(container):
            await self._networks.disconnect(container.id, network)
        left = {name: e for name, e in container.networks.items() if name != network.name}
        gone = container.networks.get(network.name, EndpointSettings())
        await self._record(container, left)
        if _addresses(gone):
            await self._edit_hosts(container.id, lambda text: _without_addresses(text, gone))

    async def _record(self, container: Container, networks: dict[str, EndpointSettings]) -> Container:
        sandbox = container.sandbox
        if _is_live(container):
            sandbox = msgspec.structs.replace(sandbox, ports=self._networks.ports(container.id))
        return await self._table.change(container.id, networks=networks, sandbox=sandbox)

    async def _edit_hosts(self, container_id: str, edit: Callable[[str], str]) -> None:
        path = self._paths.hosts(container_id)
        await asyncio.to_thread(_edit, path, edit)


def _is_live(container: Container) -> bool:
    return container.state.status in (Status.RUNNING, Status.PAUSED)


def _require_connectable(container: Container, network: Network) -> None:
    mode = container.host_config.network_mode
    if mode == "host" or mode.startswith("container:"):
        raise NetworkShared
    if network.driver == "host":
        raise HostNetworkFixed(
            "cannot connect container to host network - container must be created in host network mode"
        )
    others = {n for n in container.networks if n != network.name}
    if others and (network.driver == "null" or "none" in container.networks):
        raise NetworkPrivate


def _addresses(endpoint: EndpointSettings) -> list[str]:
    return [address for address in (endpoint.ip_address, endpoint.global_ipv6_address) if address]


def _with_addresses(text: str, endpoint: EndpointSettings, names: str) -> str:
    return text + "".join(f"{address}\t{names}\n" for address in _addresses(endpoint))


def _without_addresses(text: str, endpoint: EndpointSettings) -> str:
    gone = _addresses(endpoint)
    return "".join(line for line in text.splitlines(keepends=True) if line.split("\t", 1)[0] not in gone)


def _edit(path: Path, edit: Callable[[str], str]) -> None:
    """Change a file in place: it is mounted into the container. Blocks; call in a thread."""
    path.write_text(edit(path.read_text(errors="replace")))
