"""The messages as the kernel reads them."""

import pytest

from engine.drivers.netlink import messages
from engine.drivers.netlink.interfaces import BridgePort, Interface, ParentLink


def _sent(message):
    """Return the message as it arrives."""
    message.encode()
    read = type(message)(bytes(message.data))
    read.decode()
    return read


def _interface(link, **fields):
    return Interface(link, "eth0", "02:42:0a:00:00:02", fields.pop("mtu", 1400), ("10.0.0.2/24",), **fields)


def test_a_veth_is_made_with_its_far_end_elsewhere() -> None:
    read = _sent(messages.new_interface(_interface(BridgePort("veth1", "br0")), 7, 42))
    assert (read.get_attr("IFLA_IFNAME"), read.get_attr("IFLA_MASTER"), read["flags"]) == ("veth1", 7, 1)
    info = read.get_attr("IFLA_LINKINFO")
    peer = info.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert info.get_attr("IFLA_INFO_KIND") == "veth"
    assert (peer.get_attr("IFLA_IFNAME"), peer.get_attr("IFLA_NET_NS_FD")) == ("eth0", 42)
    assert (peer.get_attr("IFLA_ADDRESS"), peer.get_attr("IFLA_MTU")) == ("02:42:0a:00:00:02", 1400)


@pytest.mark.parametrize("mode", ["bridge", "private", "vepa", "passthru"])
def test_a_macvlan_link_hangs_on_its_parent(mode: str) -> None:
    read = _sent(messages.new_interface(_interface(ParentLink("macvlan", "eth0", mode), mtu=0), 7, 42))
    assert (read.get_attr("IFLA_LINK"), read.get_attr("IFLA_NET_NS_FD"), read.get_attr("IFLA_MTU")) == (7, 42, None)
    data = read.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
    assert data.get_attr("IFLA_MACVLAN_MODE") == mode
    assert read.get_attr("IFLA_IFNAME") == "wharf-new", "the host may have an eth0 itself"
    renamed = _sent(messages.rename(3, "eth0"))
    assert (renamed["index"], renamed.get_attr("IFLA_IFNAME")) == (3, "eth0")


@pytest.mark.parametrize(
    ("mode", "flag", "numbers"), [("l2", "bridge", (0, 0)), ("l3", "private", (1, 1)), ("l3s", "vepa", (2, 2))]
)
def test_an_ipvlan_link_has_a_mode_and_a_flag(mode: str, flag: str, numbers: tuple[int, int]) -> None:
    message = messages.new_interface(_interface(ParentLink("ipvlan", "eth0", mode, flag), mtu=0), 7, 42)
    info = _sent(message).get_attr("IFLA_LINKINFO")
    data = info.get_attr("IFLA_INFO_DATA")
    assert info.get_attr("IFLA_INFO_KIND") == "ipvlan"
    assert (data.get_attr("IFLA_IPVLAN_MODE"), data.get_attr("IFLA_IPVLAN_FLAGS")) == numbers


def test_a_vlan_has_its_number_and_a_dummy_nothing() -> None:
    vlan = _sent(messages.new_vlan("eth0.10", 7, 10))
    info = vlan.get_attr("IFLA_LINKINFO")
    assert (vlan.get_attr("IFLA_LINK"), info.get_attr("IFLA_INFO_KIND")) == (7, "vlan")
    assert info.get_attr("IFLA_INFO_DATA").get_attr("IFLA_VLAN_ID") == 10
    assert _sent(messages.new_dummy("dm-1")).get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_KIND") == "dummy"


@pytest.mark.parametrize(
    ("address", "family", "attributes"),
    [
        ("10.0.0.2/24", 2, {"IFA_ADDRESS": "10.0.0.2", "IFA_LOCAL": "10.0.0.2", "IFA_BROADCAST": "10.0.0.255"}),
        ("fd00::2/64", 10, {"IFA_ADDRESS": "fd00::2"}),
    ],
)
def test_addresses(address: str, family: int, attributes: dict[str, str]) -> None:
    read = _sent(messages.new_address(3, address))
    assert (read["index"], read["family"], read["prefixlen"]) == (3, family, int(address.partition("/")[2]))
    assert {name: read.get_attr(name) for name in attributes} == attributes
    assert bool(read["flags"] & 0x2) is (family == 10), "IPv6 ones are not tested for duplicates"


def test_default_routes_replace_one_another() -> None:
    through = _sent(messages.default_route(3, "fd00::1"))
    assert (through["family"], through.get_attr("RTA_GATEWAY"), through.get_attr("RTA_OIF")) == (10, "fd00::1", 3)
    assert through["header"]["flags"] & messages.NLM_F_REPLACE
    into = _sent(messages.device_route(3, 4))
    assert (into["family"], into.get_attr("RTA_GATEWAY"), into.get_attr("RTA_OIF")) == (2, None, 3)
    gone = _sent(messages.no_default_route(4))
    assert (gone["header"]["type"], gone["dst_len"]) == (messages.RTM_DELROUTE, 0)
