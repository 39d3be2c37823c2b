"""The kernel's network as the domain uses it: everything asynchronous, nothing on the event loop's thread.

A container's whole set-up is two sends: one makes the veth pair with its far end in the namespace, one configures that
end. They are done by a thread that has made, or entered, the namespace and ends thereafter.
"""

import asyncio
import ipaddress
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from engine.drivers.linux.sysctl import read_sysctl, write_sysctl
from engine.drivers.netlink import parents
from engine.drivers.netlink.bridges import Bridge, bridge_addresses, ensure_bridge, remove_link
from engine.drivers.netlink.conntrack import forget_udp
from engine.drivers.netlink.furnish import furnish, plug, remove_links, replace_default_routes
from engine.drivers.netlink.interfaces import DefaultRoute, Interface
from engine.drivers.netlink.links import all_links, index_of, routed_networks
from engine.drivers.netlink.namespaces import Namespaces
from engine.drivers.netlink.route_socket import RouteSocket
from engine.drivers.netlink.threads import in_own_thread

T = TypeVar("T")


class Netlink:
    """Namespaces below `directory`, bridges and veths."""

    def __init__(self, directory: Path) -> None:
        self._namespaces = Namespaces(directory)

    async def start(self) -> None:
        """Make the directory of namespaces."""
        await asyncio.to_thread(self._namespaces.prepare)

    def path(self, namespace: str) -> str:
        """Return where a namespace is bound."""
        return str(self._namespaces.path(namespace))

    async def create_namespace(
        self, name: str, interfaces: Sequence[Interface] = (), then: Callable[[], T] | None = None, pid: int = 0
    ) -> T | None:
        """Make a namespace with its loopback up and these interfaces in it. Raises OSError; nothing remains then.

        `then` is called inside, in the end, by the thread that made it; its result is returned. `pid`: the namespace is
        not made, but that of this process.
        """
        outside = {i.outside: index_of(i.outside) for i in interfaces}
        host = RouteSocket()

        def make() -> T | None:
            with host:
                fd = self._namespaces.enter_of(pid, name) if pid else self._namespaces.enter_new(name)
                try:
                    furnish(host, fd, interfaces, outside)
                    return then() if then else None
                except BaseException:
                    remove_links(host, [i.host_name for i in interfaces])
                    self._namespaces.remove(name)
                    raise
                finally:
                    os.close(fd)

        return await in_own_thread(make)

    async def inside(self, namespace: str, function: Callable[[], T]) -> T:
        """Call a function, which may block, inside a namespace. Raises OSError where that is gone."""

        def call() -> T:
            os.close(self._namespaces.enter(self._namespaces.path(namespace)))
            return function()

        return await in_own_thread(call)

    async def add_interface(self, namespace: str, interface: Interface) -> None:
        """Add an interface to a namespace that is in use (a path, or a name of ours). Raises OSError."""
        outside = {interface.outside: index_of(interface.outside)}
        host = RouteSocket()

        def add() -> None:
            with host:
                fd = self._namespaces.enter(self._namespaces.path(namespace))
                try:
                    plug(host, fd, interface, outside)
                except BaseException:
                    remove_links(host, [interface.host_name])
                    raise
                finally:
                    os.close(fd)

        await in_own_thread(add)

    async def remove_interface(self, namespace: str, name: str) -> None:
        """Remove an interface from a namespace that is in use. Idempotent. Raises OSError."""
        await self.inside(namespace, lambda: remove_link(name))

    async def route_through(self, namespace: str, routes: Sequence[DefaultRoute]) -> None:
        """Make these the default routes of a namespace, and no others. Raises OSError."""
        await self.inside(namespace, lambda: replace_default_routes(routes))

    async def remove_namespace(self, name: str) -> None:
        """Let a namespace go. Idempotent."""
        await asyncio.to_thread(self._namespaces.remove, name)

    async def namespaces(self) -> list[str]:
        """Return the names of all namespaces that are kept."""
        return await asyncio.to_thread(self._namespaces.all)

    async def ensure_bridge(self, bridge: Bridge) -> None:
        """Make a bridge, or adopt one and correct its addresses. Raises OSError."""
        await asyncio.to_thread(ensure_bridge, bridge)

    async def bridge_addresses(self, name: str) -> list[str] | None:
        """Return the IPv4 addresses of a bridge (`172.17.0.1/16`), None where there is no such bridge."""
        return await asyncio.to_thread(bridge_addresses, name)

    async def remove_link(self, name: str) -> None:
        """Remove a bridge or a veth by the name of its host end. Idempotent."""
        await asyncio.to_thread(remove_link, name)

    async def remove_links(self, names: Iterable[str]) -> None:
        """Remove several links. Idempotent."""
        await asyncio.to_thread(_remove_host_links, list(names))

    async def link_exists(self, name: str) -> bool:
        """Tell whether the host has an interface of that name."""
        return await asyncio.to_thread(parents.exists, name)

    async def make_vlan(self, name: str, parent: str, number: int) -> None:
        """Make the sub-interface of a VLAN on an interface of the host, and bring it up. Raises OSError."""
        await asyncio.to_thread(parents.make_vlan, name, parent, number)

    async def make_dummy(self, name: str) -> None:
        """Make an interface that leads nowhere, and bring it up. Raises OSError."""
        await asyncio.to_thread(parents.make_dummy, name)

    async def forget_udp(self, addresses: Collection[str], ports: Collection[int]) -> None:
        """Forget UDP exchanges with containers' IPv4 addresses, and those with ports of the host. Raises OSError."""
        await asyncio.to_thread(forget_udp, addresses, ports)

    async def link_names(self) -> list[str]:
        """Return the names of all links of the host."""
        return await asyncio.to_thread(_link_names)

    async def routed_networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """Return the networks that the host has routes to."""
        return await asyncio.to_thread(routed_networks)

    async def enable_forwarding(self, *, ipv6: bool) -> list[int]:
        """Let the host route IPv4, and IPv6, too; return the families (4, 6) that it did not before. Raises OSError."""
        return await asyncio.to_thread(_enable_forwarding, ipv6)


def _remove_host_links(names: Sequence[str]) -> None:
    with RouteSocket() as host:
        remove_links(host, names)


def _link_names() -> list[str]:
    with RouteSocket() as host:
        return [link.name for link in all_links(host)]


def _keep_router_advertisements() -> None:
    """A host that forwards ignores router advertisements, its own default route's perhaps, unless accept_ra is 2.

    That goes for the interfaces that there are; what comes later, bridges to containers say, is not to take after them.
    """
    for interface in Path("/proc/sys/net/ipv6/conf").iterdir():
        if interface.name in ("all", "default"):
            continue
        name = f"net/ipv6/conf/{interface.name}/accept_ra"
        if read_sysctl(name) == "1" and read_sysctl(f"net/ipv6/conf/{interface.name}/forwarding") == "0":
            write_sysctl(name, "2")


def _enable_forwarding(ipv6: bool) -> list[int]:
    enabled = []
    for version, name in ((4, "net/ipv4/ip_forward"), (6, "net/ipv6/conf/all/forwarding")):
        if (version == 4 or ipv6) and read_sysctl(name) == "0":
            if version == 6:
                _keep_router_advertisements()
            write_sysctl(name, "1")
            enabled.append(version)
    return enabled
