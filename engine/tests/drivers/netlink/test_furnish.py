"""What is asked of the kernel for a container's interfaces, in which order."""

import pytest

from engine.drivers.netlink import furnish, messages
from engine.drivers.netlink.interfaces import (
    BridgePort,
    DefaultRoute,
    Interface,
    ParentLink,
    ParentRefused,
    SysctlRefused,
)

_NAMES = {
    messages.RTM_NEWLINK: "link",
    messages.RTM_DELLINK: "no link",
    messages.RTM_NEWADDR: "address",
    messages.RTM_NEWROUTE: "route",
    messages.RTM_DELROUTE: "no route",
}


class Route:
    """A socket that writes down what is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.refuses: tuple[str, int] | None = None

    def __call__(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def apply(self, *sent, ignoring=()) -> None:
        names = [_NAMES[m["header"]["type"]] for m in sent]
        self.sent += names
        if self.refuses and self.refuses[0] in names:
            raise OSError(self.refuses[1], "Operation not supported")


@pytest.fixture
def route(monkeypatch):
    made = Route()
    monkeypatch.setattr(furnish, "RouteSocket", made)
    monkeypatch.setattr(furnish, "index_of", lambda name: 2)
    monkeypatch.setattr(furnish, "write_sysctl", lambda name, value: "nope" not in name)
    return made


def _interface(link=None, **fields):
    fields = {"addresses": ("10.0.0.2/24", "fd00::2/64"), "gateways": ("10.0.0.1",), **fields}
    return Interface(link or BridgePort("veth1", "br0"), "eth0", "02:42:0a:00:00:02", 1500, **fields)


def test_a_new_namespace_is_furnished(route) -> None:
    furnish.furnish(route, 9, [_interface()], {"br0": 4})
    assert route.sent == ["link", "link", "link", "link", "address", "address", "route"]


def test_a_link_in_passthru_mode_gets_its_mac_address_afterwards(route) -> None:
    link = ParentLink("macvlan", "eth7", "passthru")
    furnish.plug(route, 9, _interface(link, gateways=(), device_routes=(4,)), {"eth7": 4})
    assert route.sent == ["link", "link", "link", "link", "address", "address", "route"]


def test_a_kind_that_the_kernel_lacks_is_named(route) -> None:
    route.refuses = ("link", 95)
    with pytest.raises(ParentRefused) as caught:
        furnish.plug(route, 9, _interface(ParentLink("ipvlan", "eth7", "l2")), {"eth7": 4})
    assert (caught.value.kind, caught.value.errno) == ("ipvlan", 95)


def test_what_is_plugged_half_way_is_removed(route) -> None:
    with pytest.raises(SysctlRefused, match="/proc/sys/net/ipv4/conf/eth0/nope is not a sysctl file"):
        furnish.plug(route, 9, _interface(sysctls=(("ipv4/conf/eth0/nope", "1"),)), {"br0": 4})
    assert route.sent[-1] == "no link"


def test_default_routes_of_families_that_have_none_go(route) -> None:
    furnish.replace_default_routes([DefaultRoute(4, "eth0", "10.0.0.1")])
    assert route.sent == ["no route", "route"]
