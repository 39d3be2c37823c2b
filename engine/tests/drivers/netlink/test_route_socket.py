"""The rtnetlink socket, on the kernel that runs the tests; nothing is changed."""

import pytest

from engine.drivers.netlink import messages
from engine.drivers.netlink.links import all_links, find_link
from engine.drivers.netlink.route_socket import RouteSocket


def test_nothing_to_send_is_nothing_to_wait_for() -> None:
    with RouteSocket() as route:
        route.apply()


def test_a_dump_is_read_to_its_end() -> None:
    with RouteSocket() as route:
        assert "lo" in [link.name for link in all_links(route)]
        assert find_link(route, "lo") is not None
        assert find_link(route, "nothing-of-that") is None


def test_what_the_kernel_refuses_is_an_error_unless_it_is_to_be_passed_over() -> None:
    with RouteSocket() as route:
        with pytest.raises(OSError):
            route.apply(messages.delete_link("nothing-of-that"))
        route.apply(messages.delete_link("nothing-of-that"), ignoring=(1, 19))  # EPERM without root, else ENODEV
