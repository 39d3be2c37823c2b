"""Interfaces of the host that macvlan and ipvlan links hang on: found, and made where a network asks for it.

Functions block; call them in a thread.
"""

import errno

from engine.drivers.netlink import messages
from engine.drivers.netlink.links import index_of
from engine.drivers.netlink.messages import Message
from engine.drivers.netlink.route_socket import RouteSocket


def exists(name: str) -> bool:
    """Tell whether the host has an interface of that name. Blocks; call in a thread."""
    try:
        index_of(name)
    except OSError:
        return False
    return True


def make_vlan(name: str, parent: str, number: int) -> None:
    """Make the sub-interface of a VLAN and bring it up. Raises OSError. Blocks; call in a thread."""
    _make(name, messages.new_vlan(name, index_of(parent), number))


def make_dummy(name: str) -> None:
    """Make an interface that leads nowhere and bring it up. Raises OSError. Blocks; call in a thread."""
    _make(name, messages.new_dummy(name))


def _make(name: str, message: Message) -> None:
    with RouteSocket() as route:
        route.apply(message)
        try:
            route.apply(messages.set_up(index_of(name)))
        except OSError:
            route.apply(messages.delete_link(name), ignoring=(errno.ENODEV,))
            raise
