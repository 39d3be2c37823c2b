"""Bridges: made, adopted, removed."""

import errno
from dataclasses import dataclass

from engine.drivers.linux.sysctl import write_sysctl
from engine.drivers.netlink import messages
from engine.drivers.netlink.links import Link, addresses_of, find_link, index_of
from engine.drivers.netlink.route_socket import RouteSocket


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge as it is to be. `addresses` as 172.17.0.1/16; `route_localnet`: 127.0.0.1 may be sent over it.

    `routes_within`: what goes from one of its ports, which are isolated, to another is routed by the host, so that
    rules for routed packets decide (RFC 3069). IPv4 only.
    """

    name: str
    addresses: tuple[str, ...]
    mac_address: str
    mtu: int
    ipv6: bool = False
    route_localnet: bool = True
    routes_within: bool = False


class NotABridge(OSError):
    """A link of that name exists and is something else."""

    def __init__(self, link: Link) -> None:
        super().__init__(errno.EEXIST, f"{link.name} exists and is not a bridge but a {link.kind or 'device'}")


def ensure_bridge(bridge: Bridge) -> None:
    """Make a bridge, or adopt one and correct its addresses. Raises OSError. Blocks; call in a thread."""
    with RouteSocket() as route:
        present = find_link(route, bridge.name)
        if present is None:
            route.apply(messages.new_bridge(bridge.name, bridge.mac_address, bridge.mtu))
        elif present.kind != "bridge":
            raise NotABridge(present)
        index = index_of(bridge.name)
        # Forwarded packets make the kernel ask for neighbours from the link-local address: that must not wait two
        # seconds for a test of duplicates, which a bridge of our own has no need of.
        write_sysctl(f"net/ipv6/conf/{bridge.name}/accept_dad", "0")
        # A container must not be able to tell the host where to route (CVE-2020-13401).
        write_sysctl(f"net/ipv6/conf/{bridge.name}/accept_ra", "0")
        write_sysctl(f"net/ipv6/conf/{bridge.name}/disable_ipv6", "0" if bridge.ipv6 else "1")
        _correct_addresses(route, index, bridge.addresses)
        route.apply(messages.set_up(index))
    write_sysctl(f"net/ipv4/conf/{bridge.name}/route_localnet", "1" if bridge.route_localnet else "0")
    write_sysctl(f"net/ipv4/conf/{bridge.name}/proxy_arp_pvlan", "1" if bridge.routes_within else "0")
    if bridge.routes_within:
        write_sysctl(f"net/ipv4/conf/{bridge.name}/send_redirects", "0")
        # By default an answer for another one waits up to 0.8 seconds for that one's own.
        write_sysctl(f"net/ipv4/neigh/{bridge.name}/proxy_delay", "0")


def _correct_addresses(route: RouteSocket, index: int, wanted: tuple[str, ...]) -> None:
    present = [a for a in addresses_of(route, index) if not a.startswith("fe80:")]
    changes = [messages.delete_address(index, a) for a in present if a not in wanted]
    changes += [messages.new_address(index, a) for a in wanted if a not in present]
    if changes:
        route.apply(*changes)


def bridge_addresses(name: str) -> list[str] | None:
    """Return the IPv4 addresses of a bridge, None where there is none. Blocks; call in a thread."""
    with RouteSocket() as route:
        link = find_link(route, name)
        if link is None:
            return None
        return [a for a in addresses_of(route, link.index) if ":" not in a]


def remove_link(name: str) -> None:
    """Remove a bridge or a veth. Idempotent. Blocks; call in a thread."""
    with RouteSocket() as route:
        route.apply(messages.delete_link(name), ignoring=(errno.ENODEV,))
