"""Puts interfaces into the calling thread's namespace and configures them.

The thread has made, or entered, the namespace; `host` is a socket that still acts in the host's. Everything blocks.
"""

import contextlib
import errno
from collections.abc import Iterable, Mapping, Sequence

from engine.drivers.linux.sysctl import write_sysctl
from engine.drivers.netlink import messages
from engine.drivers.netlink.interfaces import (
    BridgePort,
    DefaultRoute,
    GivenLink,
    Interface,
    ParentLink,
    ParentRefused,
    SysctlRefused,
)
from engine.drivers.netlink.links import index_of
from engine.drivers.netlink.messages import Message
from engine.drivers.netlink.route_socket import RouteSocket

_LOOPBACK = 1


def furnish(host: RouteSocket, namespace: int, interfaces: Sequence[Interface], outside: Mapping[str, int]) -> None:
    """Fill a new namespace. `outside` numbers the host's interfaces. Raises OSError. Blocks; call in a thread."""
    with RouteSocket() as inside:
        inside.apply(messages.set_up(_LOOPBACK))
        for interface in interfaces:
            # An interface takes over the namespace's default when it is made.
            write_sysctl("net/ipv6/conf/default/disable_ipv6", "0" if interface.ipv6 else "1")
            _create(host, namespace, interface, outside)
            _name(inside, interface)
            _set_sysctls(interface)
            inside.apply(*_configuration(interface))
        write_sysctl("net/ipv6/conf/default/disable_ipv6", "0")


def plug(host: RouteSocket, namespace: int, interface: Interface, outside: Mapping[str, int]) -> None:
    """Add an interface to a namespace that others use at the same time. Raises OSError. Blocks; call in a thread."""
    _create(host, namespace, interface, outside)
    with RouteSocket() as inside:
        try:
            _name(inside, interface)
            write_sysctl(f"net/ipv6/conf/{interface.name}/disable_ipv6", "0" if interface.ipv6 else "1")
            _set_sysctls(interface)
            inside.apply(*_configuration(interface))
        except BaseException:
            for name in (interface.name, messages.NEW_LINK):
                inside.apply(messages.delete_link(name), ignoring=(errno.ENODEV,))
            raise


def _create(host: RouteSocket, namespace: int, interface: Interface, outside: Mapping[str, int]) -> None:
    made = [messages.new_interface(interface, outside[interface.outside], namespace)]
    if isinstance(interface.link, BridgePort):
        port = interface.link
        made.append(messages.bridge_port(port.host_name, hairpin=True, isolated=port.isolated))
    try:
        host.apply(*made)
    except OSError as error:
        if isinstance(interface.link, ParentLink):
            raise ParentRefused(interface.link.kind, error) from error
        raise


def _name(inside: RouteSocket, interface: Interface) -> None:
    if isinstance(interface.link, ParentLink):
        inside.apply(messages.rename(index_of(messages.NEW_LINK), interface.name))


def _set_sysctls(interface: Interface) -> None:
    for name, value in interface.sysctls:
        path = f"/proc/sys/net/{name}"
        try:
            known = write_sysctl(f"net/{name}", value)
        except OSError as error:
            reason = f"unable to write to '{path}': write {path}: {(error.strerror or str(error)).lower()}"
            raise SysctlRefused(error.errno or errno.EINVAL, interface, reason) from error
        if not known:
            raise SysctlRefused(errno.ENOENT, interface, f"{path} is not a sysctl file")


def _configuration(interface: Interface) -> list[Message]:
    index = index_of(interface.name)
    addresses = [messages.new_address(index, a) for a in interface.addresses]
    routes = [messages.default_route(index, g) for g in interface.gateways]
    routes += [messages.device_route(index, v) for v in interface.device_routes]
    # The kernel gives a link in passthru mode its parent's MAC address when it makes it, whatever was asked for.
    takes_over = isinstance(interface.link, ParentLink) and interface.link.mode == "passthru"
    takes_over |= isinstance(interface.link, GivenLink) and bool(interface.mac_address)
    mac = [messages.set_mac(index, interface.mac_address)] if takes_over else []
    return [*mac, messages.set_up(index), *addresses, *routes]


def replace_default_routes(routes: Sequence[DefaultRoute]) -> None:
    """Make these the namespace's default routes, and no others. Raises OSError. Blocks; call in a thread."""
    with RouteSocket() as inside:
        for version in {4, 6} - {route.version for route in routes}:
            with contextlib.suppress(OSError):  # There is none.
                inside.apply(messages.no_default_route(version))
        inside.apply(*(_default_route(route) for route in routes))


def _default_route(route: DefaultRoute) -> Message:
    index = index_of(route.interface)
    if route.gateway:
        return messages.default_route(index, route.gateway)
    return messages.device_route(index, route.version)


def remove_links(host: RouteSocket, names: Iterable[str]) -> None:
    """Remove links of the host; empty names and those that are gone are passed over. Blocks; call in a thread."""
    for name in filter(None, names):
        with contextlib.suppress(OSError):
            host.apply(messages.delete_link(name), ignoring=(errno.ENODEV,))
