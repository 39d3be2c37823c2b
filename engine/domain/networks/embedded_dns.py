"""The DNS servers of running containers: started with the first user-defined network, ended with the container."""

from collections.abc import Callable, Sequence

from engine.domain.networks.resolver import Names, Resolver, Upstream
from engine.drivers.dns.forward import Opener
from engine.drivers.dns.server import ADDRESS, DnsServer, DnsSockets, open_sockets

Redirect = Callable[[str, int, int], None]


class EmbeddedDns:
    """One server for each container that has use for it."""

    def __init__(self, names: Names, upstream: Upstream, redirect: Redirect) -> None:
        self._names = names
        self._upstream = upstream
        self._redirect = redirect
        self._servers: dict[str, DnsServer] = {}

    def open_inside(self) -> DnsSockets:
        """Open sockets and lead port 53 to them, in the calling thread's namespace. Raises OSError. Blocks."""
        sockets = open_sockets()
        try:
            self._redirect(ADDRESS, *sockets.ports)
        except BaseException:
            sockets.close()
            raise
        return sockets

    def serves(self, container_id: str) -> bool:
        """Tell whether a container has its server."""
        return container_id in self._servers

    async def serve(self, container_id: str, sockets: DnsSockets, servers: Sequence[str], opener: Opener) -> None:
        """Answer a container on sockets that are open.

        `servers` are those that it asks for by itself, through sockets that `opener` opens in its network.
        """
        self.stop(container_id)
        server = DnsServer(Resolver(container_id, self._names, self._upstream, servers, opener).answer)
        self._servers[container_id] = server
        await server.start(sockets)

    def stop(self, container_id: str) -> None:
        """End a container's server. Idempotent."""
        if server := self._servers.pop(container_id, None):
            server.close()

    def close(self) -> None:
        """End all servers."""
        for container_id in list(self._servers):
            self.stop(container_id)
