"""A container's view of the network: its namespace, addresses, ports, and the three files in /etc that tell of them."""

import asyncio
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.core import digest, ids
from engine.core.model.container import Container, Sandbox, Status
from engine.core.model.network import EndpointSettings
from engine.domain.containers import etc_files, links
from engine.domain.containers.failures import NetworkPeerNotRunning
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.peers import Peers
from engine.domain.containers.remap import NO_REMAP, Remap
from engine.domain.containers.table import ContainerTable
from engine.domain.networks.networks import Networks
from engine.domain.networks.sandbox import SandboxRequest, request_of

_HOST_RESOLV_CONF = Path("/etc/resolv.conf")
_RESOLVED_CONF = Path("/run/systemd/resolve/resolv.conf")  # What systemd-resolved's stub asks.
_HOST_HOSTS = Path("/etc/hosts")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The namespace's path (None: the host's), and what the container's record learns."""

    netns: str | None
    sandbox: Sandbox
    networks: Mapping[str, EndpointSettings]
    files: "EtcFiles"


@dataclass(frozen=True, slots=True)
class EtcFiles:
    """Host paths of what the container sees as /etc/hosts, /etc/hostname and /etc/resolv.conf."""

    hosts: Path
    hostname: Path
    resolv_conf: Path


@dataclass(frozen=True, slots=True)
class ResolverDefaults:
    """The daemon's `--dns`, `--dns-search` and `--dns-opt`."""

    servers: Sequence[str] = ()
    search: Sequence[str] = ()
    options: Sequence[str] = ()


class SandboxPreparer:
    """Connects containers as they start, and disconnects them when they have ended."""

    def __init__(
        self,
        table: ContainerTable,
        networks: Networks,
        paths: ContainerPaths,
        defaults: ResolverDefaults,
        remap: Remap = NO_REMAP,
    ) -> None:
        self._remap = remap
        self._table = table
        self._peers = Peers(table)
        self._networks = networks
        self._paths = paths
        self._defaults = defaults

    async def prepare(self, container: Container) -> Prepared:
        """Make the network and the files. Raises WharfError; what was made by then is undone by `release`.

        A container in a user namespace of its own gets its network later, by `connect`.
        """
        mode = container.host_config.network_mode
        if mode.startswith("container:"):
            return self._shared(container, mode.removeprefix("container:"))
        if mode == "host":
            return await self._host(container)
        if self._remap.of(container) is not None:
            linked = [links.host_entry(link) for link in self._peers.linked(container)]
            await asyncio.to_thread(self._write_own_files, container, {}, linked)
            return Prepared("", Sandbox(), {}, self._files(container.id))
        return await self._own(container)

    async def connect(self, container: Container, prepared: Prepared, pid: int) -> Prepared:
        """Furnish the namespace that the runtime has made, where `prepare` left that. Raises WharfError."""
        return await self._own(container, pid) if prepared.netns == "" else prepared

    def _shared(self, container: Container, peer_reference: str) -> Prepared:
        peer = self._table.get(peer_reference)
        if peer.state.status not in (Status.RUNNING, Status.PAUSED):
            raise NetworkPeerNotRunning(peer.id)
        netns = f"/proc/{peer.state.pid}/ns/net"
        return Prepared(netns, Sandbox(), {}, self._files(peer.id))

    async def _host(self, container: Container) -> Prepared:
        await asyncio.to_thread(self._write_host_files, container)
        asked = {"host": container.networks.get("host", EndpointSettings())}
        attached = await self._networks.attach(SandboxRequest(container.id, container.name, networks=asked))
        return Prepared(None, attached.sandbox, attached.networks, self._files(container.id))

    async def _own(self, container: Container, pid: int = 0) -> Prepared:
        linked = self._peers.linked(container)
        attached = await self._networks.attach(request_of(container, pid, [link.target.id for link in linked]))
        entries = [links.host_entry(link) for link in linked]
        await asyncio.to_thread(self._write_own_files, container, attached.networks, entries)
        await self._tell_parents(container, attached.networks)
        return Prepared(attached.sandbox.netns, attached.sandbox, attached.networks, self._files(container.id))

    def _files(self, container_id: str) -> EtcFiles:
        paths = self._paths
        return EtcFiles(paths.hosts(container_id), paths.hostname(container_id), paths.resolv_conf(container_id))

    def _write_host_files(self, container: Container) -> None:
        """Blocks; call in a thread."""
        files = self._files(container.id)
        extra = [etc_files.extra_host(e, "127.0.0.1") for e in container.host_config.extra_hosts or ()]
        _write(files.hosts, etc_files.hosts_text(extra) if extra else _read(_HOST_HOSTS))
        _write(files.hostname, f"{container.config.hostname or socket.gethostname()}\n")
        host = etc_files.HostResolver(str(_HOST_RESOLV_CONF), _read(_HOST_RESOLV_CONF))
        _write_unless_edited(files.resolv_conf, etc_files.host_resolv_conf(host, self._wanted(container)))

    async def _tell_parents(self, container: Container, networks: Mapping[str, EndpointSettings]) -> None:
        """Write a new address into /etc/hosts of the containers that link to this one."""
        if links.DEFAULT_BRIDGE not in networks:
            return
        address = networks[links.DEFAULT_BRIDGE].ip_address
        for parent, alias in self._peers.linking_to(container):
            await asyncio.to_thread(_change_address, self._files(parent.id).hosts, alias, address)

    def _write_own_files(
        self, container: Container, networks: Mapping[str, EndpointSettings], linked: Iterable[tuple[str, str]]
    ) -> None:
        """Blocks; call in a thread."""
        files = self._files(container.id)
        config, host = container.config, container.host_config
        gateway = next((n.gateway for n in networks.values() if n.gateway), "127.0.0.1")
        names = etc_files.own_names(config.hostname or ids.short(container.id), config.domainname)
        addresses = (a for n in networks.values() for a in (n.ip_address, n.global_ipv6_address))
        own = [(address, names) for address in addresses if address]
        extra = [etc_files.extra_host(e, gateway) for e in host.extra_hosts or ()]
        _write(files.hosts, etc_files.hosts_text([*extra, *linked, *own]))
        _write(files.hostname, f"{config.hostname}\n")
        _write_unless_edited(files.resolv_conf, self._resolv_conf(container, networks))

    async def rewrite_resolv_conf(self, container: Container) -> None:
        """Let resolv.conf follow the networks of a running container, unless it was edited."""
        await asyncio.to_thread(self._write_resolv_conf, container)

    def _write_resolv_conf(self, container: Container) -> None:
        """Blocks; call in a thread."""
        text = self._resolv_conf(container, container.networks)
        _write_unless_edited(self._paths.resolv_conf(container.id), text)

    def _resolv_conf(self, container: Container, networks: Mapping[str, EndpointSettings]) -> str:
        """Return what the container's resolv.conf is to say on these networks. Blocks; call in a thread."""
        wanted = self._wanted(container)
        if any(n.dns_names for n in networks.values()):
            host = etc_files.HostResolver(str(_HOST_RESOLV_CONF), _read(_HOST_RESOLV_CONF))
            return etc_files.embedded_resolv_conf(host, wanted)
        return etc_files.own_resolv_conf(host_resolver(), wanted)

    def _wanted(self, container: Container) -> etc_files.Resolver:
        host = container.host_config
        return etc_files.Resolver(
            host.dns or self._defaults.servers,
            host.dns_search or self._defaults.search,
            host.dns_options or self._defaults.options,
        )

    async def release(self, container: Container) -> None:
        """Undo `prepare`. Idempotent."""
        if not container.host_config.network_mode.startswith("container:"):
            await self._networks.detach(container.id)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _change_address(hosts: Path, name: str, address: str) -> None:
    """Blocks; call in a thread."""
    text = _read(hosts)
    changed = links.with_address(text, name, address)
    if changed != text:
        hosts.write_text(changed)


def host_resolver() -> etc_files.HostResolver:
    """Return the file that names servers which containers can reach. Blocks; call in a thread."""
    text = _read(_HOST_RESOLV_CONF)
    if etc_files.is_local_stub(text) and (servers := _read(_RESOLVED_CONF)):
        return etc_files.HostResolver(str(_RESOLVED_CONF), servers)
    return etc_files.HostResolver(str(_HOST_RESOLV_CONF), text)


def _write_unless_edited(path: Path, text: str) -> None:
    """Write a file that a user may change: from then on it is the user's. Blocks; call in a thread."""
    mark = path.with_name(f"{path.name}.hash")
    present = _read(path)
    if present and digest.of(present.encode()) != _read(mark):
        return
    _write(path, text)
    _write(mark, digest.of(text.encode()))


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)
