"""Which links, addresses and routes there are. Everything here blocks; call it in a thread."""

import contextlib
import ipaddress
import socket
from dataclasses import dataclass

from engine.drivers.netlink import messages
from engine.drivers.netlink.messages import Message
from engine.drivers.netlink.route_socket import RouteSocket

_RT_TABLE_LOCAL = 255


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the host; `kind` is empty for hardware."""

    index: int
    name: str
    kind: str


def index_of(name: str) -> int:
    """Return a link's number in the calling thread's namespace. Raises OSError."""
    return socket.if_nametoindex(name)


def all_links(route: RouteSocket) -> list[Link]:
    """Return all links."""
    return [_link(m) for m in route.dump(messages.all_links())]


def find_link(route: RouteSocket, name: str) -> Link | None:
    """Return the link of that name, or None."""
    with contextlib.suppress(OSError):
        index = index_of(name)
        return next((link for link in all_links(route) if link.index == index), None)
    return None


def _link(message: Message) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info else ""
    return Link(message["index"], message.get_attr("IFLA_IFNAME"), kind or "")


def addresses_of(route: RouteSocket, index: int) -> list[str]:
    """Return a link's addresses as 172.17.0.1/16."""
    found = [m for m in route.dump(messages.all_addresses()) if m["index"] == index]
    return [f"{m.get_attr('IFA_LOCAL') or m.get_attr('IFA_ADDRESS')}/{m['prefixlen']}" for m in found]


def routed_networks() -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return the networks that the host has routes to, default routes and its own addresses aside."""
    with RouteSocket() as route:
        found = route.dump(messages.all_routes())
    networks = []
    for message in found:
        destination = message.get_attr("RTA_DST")
        if destination and message["table"] != _RT_TABLE_LOCAL:
            networks.append(ipaddress.ip_network(f"{destination}/{message['dst_len']}"))
    return networks
