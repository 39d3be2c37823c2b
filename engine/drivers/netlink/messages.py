"""The rtnetlink messages that bridges and containers' interfaces need. Pure: builds them, sends nothing.

pyroute2's message classes encode them; its sockets and its IPRoute are not used, since a container's start must not
wait for one round trip after the other (see `route_socket.py`).
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

from engine.drivers.netlink.interfaces import BridgePort, GivenLink, Interface, ParentLink
from engine.drivers.netlink.rtnl import ifaddrmsg, ifinfmsg, nla, rtmsg

AF_UNSPEC, AF_INET, AF_BRIDGE, AF_INET6 = 0, 2, 7, 10
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
_CHANGE = NLM_F_REQUEST | NLM_F_ACK
_CREATE = _CHANGE | NLM_F_CREATE | NLM_F_EXCL
_IFF_UP = 1
_IFA_F_NODAD = 0x2
_RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RT_SCOPE_NOWHERE, _RTN_UNICAST = 254, 3, 0, 255, 1

# What a link on a parent is called while it is made: some kernels (6.12) want a name that is free on the host as well,
# which has an `eth0`, too.
NEW_LINK = "wharf-new"
_IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
_IPVLAN_FLAGS = {"": 0, "bridge": 0, "private": 1, "vepa": 2}

Message = Any  # pyroute2 has no types


class _IpvlanData(nla):  # type: ignore[misc]
    """IFLA_INFO_DATA of ipvlan (linux/if_link.h); pyroute2's own lacks the flags."""

    prefix = "IFLA_"
    nla_map = (("IFLA_IPVLAN_UNSPEC", "none"), ("IFLA_IPVLAN_MODE", "uint16"), ("IFLA_IPVLAN_FLAGS", "uint16"))


ifinfmsg.ifinfo.register_link_kind(module={"ipvlan": _IpvlanData})


def request(message: Message, kind: int, flags: int) -> Message:
    """Fill in the header of a message."""
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    return message


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"attrs": [(name, value) for name, value in values.items() if value not in (None, "")]}


def _link(*, index: int = 0, up: bool = False, family: int = AF_UNSPEC, **values: Any) -> Message:
    message = ifinfmsg()
    message["family"] = family
    message["index"] = index
    if up:
        message["flags"] = message["change"] = _IFF_UP
    message["attrs"] = [(f"IFLA_{name.upper()}", value) for name, value in values.items() if value not in (None, "")]
    return message


def new_bridge(name: str, mac_address: str, mtu: int) -> Message:
    """Make a bridge. With a MAC address of its own it does not take on that of the ports that come and go."""
    linkinfo = _attributes({"IFLA_INFO_KIND": "bridge"})
    return request(_link(ifname=name, address=mac_address, mtu=mtu, linkinfo=linkinfo), RTM_NEWLINK, _CREATE)


def new_interface(interface: Interface, outside: int, netns: int) -> Message:
    """Make a container's interface on the host's interface number `outside`, in the namespace of descriptor `netns`."""
    if isinstance(interface.link, BridgePort):
        return _new_veth(interface, interface.link, outside, netns)
    if isinstance(interface.link, GivenLink):
        return request(_link(index=outside, ifname=interface.name, net_ns_fd=netns), RTM_NEWLINK, _CHANGE)
    return _new_on_parent(interface, interface.link, outside, netns)


def _new_veth(interface: Interface, port: BridgePort, bridge_index: int, netns: int) -> Message:
    """Make a veth pair in one go: the host end up and in its bridge, the other in the namespace.

    The other end stays down: the kernel refuses to bring it up before the pair is complete (ENOTCONN of veth_open).
    """
    peer = _attributes(
        {
            "IFLA_IFNAME": interface.name,
            "IFLA_ADDRESS": interface.mac_address,
            "IFLA_MTU": interface.mtu,
            "IFLA_NET_NS_FD": netns,
        }
    )
    linkinfo = _attributes({"IFLA_INFO_KIND": "veth", "IFLA_INFO_DATA": _attributes({"VETH_INFO_PEER": peer})})
    message = _link(up=True, ifname=port.host_name, mtu=interface.mtu, master=bridge_index, linkinfo=linkinfo)
    return request(message, RTM_NEWLINK, _CREATE)


def _new_on_parent(interface: Interface, link: ParentLink, parent_index: int, netns: int) -> Message:
    """Make a link on a parent; it is called `NEW_LINK` yet."""
    if link.kind == "macvlan":
        data = _attributes({"IFLA_MACVLAN_MODE": link.mode})
    else:
        flags = _IPVLAN_FLAGS[link.flag]
        data = _attributes({"IFLA_IPVLAN_MODE": _IPVLAN_MODES[link.mode], "IFLA_IPVLAN_FLAGS": flags})
    message = _link(
        ifname=NEW_LINK,
        address=interface.mac_address,
        mtu=interface.mtu or None,
        link=parent_index,
        linkinfo=_attributes({"IFLA_INFO_KIND": link.kind, "IFLA_INFO_DATA": data}),
        net_ns_fd=netns,
    )
    return request(message, RTM_NEWLINK, _CREATE)


def new_vlan(name: str, parent_index: int, number: int) -> Message:
    """Make the sub-interface of a VLAN (IEEE 802.1Q)."""
    data = _attributes({"IFLA_VLAN_ID": number})
    linkinfo = _attributes({"IFLA_INFO_KIND": "vlan", "IFLA_INFO_DATA": data})
    return request(_link(ifname=name, link=parent_index, linkinfo=linkinfo), RTM_NEWLINK, _CREATE)


def new_dummy(name: str) -> Message:
    """Make an interface that leads nowhere."""
    return request(_link(ifname=name, linkinfo=_attributes({"IFLA_INFO_KIND": "dummy"})), RTM_NEWLINK, _CREATE)


def bridge_port(name: str, *, hairpin: bool, isolated: bool) -> Message:
    """Set how a bridge treats one of its ports. Hairpin: a frame may leave where it came in (a container's own)."""
    data = _attributes({"IFLA_BRPORT_MODE": int(hairpin), "IFLA_BRPORT_ISOLATED": int(isolated)})
    linkinfo = _attributes({"IFLA_INFO_SLAVE_KIND": "bridge", "IFLA_INFO_SLAVE_DATA": data})
    return request(_link(ifname=name, linkinfo=linkinfo), RTM_NEWLINK, _CHANGE)


def rename(index: int, name: str) -> Message:
    """Give a link that is down another name."""
    return request(_link(index=index, ifname=name), RTM_NEWLINK, _CHANGE)


def set_up(index: int) -> Message:
    """Bring a link up."""
    return request(_link(index=index, up=True), RTM_NEWLINK, _CHANGE)


def set_mac(index: int, mac_address: str) -> Message:
    """Set a link's MAC address."""
    return request(_link(index=index, address=mac_address), RTM_NEWLINK, _CHANGE)


def delete_link(name: str) -> Message:
    """Remove a link by name."""
    return request(_link(ifname=name), RTM_DELLINK, _CHANGE)


def new_address(index: int, address: str) -> Message:
    """Give a link an address such as 172.17.0.2/16 or fd00::2/64; IPv6 ones are not tested for duplicates."""
    return _address(index, address, RTM_NEWADDR, _CREATE)


def delete_address(index: int, address: str) -> Message:
    """Take an address from a link."""
    return _address(index, address, RTM_DELADDR, _CHANGE)


def _address(index: int, address: str, kind: int, flags: int) -> Message:
    interface = ipaddress.ip_interface(address)
    message = ifaddrmsg()
    message["index"], message["prefixlen"] = index, interface.network.prefixlen
    if interface.version == 4:
        message["family"] = AF_INET
        broadcast = str(interface.network.broadcast_address)
        local = ("IFA_LOCAL", str(interface.ip))
        message["attrs"] = [("IFA_ADDRESS", str(interface.ip)), local, ("IFA_BROADCAST", broadcast)]
    else:
        message["family"], message["flags"] = AF_INET6, _IFA_F_NODAD
        message["attrs"] = [("IFA_ADDRESS", str(interface.ip))]
    return request(message, kind, flags)


def default_route(index: int, gateway: str) -> Message:
    """Route everything else to `gateway`, in place of a default route that there is."""
    return _default_route(ipaddress.ip_address(gateway).version, ("RTA_GATEWAY", gateway), ("RTA_OIF", index))


def device_route(index: int, version: int) -> Message:
    """Route everything else of a family (4, 6) into an interface that asks for no gateway."""
    return _default_route(version, ("RTA_OIF", index))


def _default_route(version: int, *attributes: tuple[str, Any]) -> Message:
    message = rtmsg()
    message["family"] = AF_INET if version == 4 else AF_INET6
    message["table"], message["proto"] = _RT_TABLE_MAIN, _RTPROT_BOOT
    message["scope"], message["type"] = _RT_SCOPE_UNIVERSE, _RTN_UNICAST
    message["attrs"] = list(attributes)
    return request(message, RTM_NEWROUTE, _CHANGE | NLM_F_CREATE | NLM_F_REPLACE)


def no_default_route(version: int) -> Message:
    """Remove the default route of a family (4, 6)."""
    message = rtmsg()
    message["family"] = AF_INET if version == 4 else AF_INET6
    message["table"], message["scope"] = _RT_TABLE_MAIN, _RT_SCOPE_NOWHERE
    return request(message, RTM_DELROUTE, _CHANGE)


def all_links() -> Message:
    """Ask for all links."""
    return request(_link(), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP)


def all_addresses() -> Message:
    """Ask for all addresses."""
    return request(ifaddrmsg(), RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP)


def all_routes() -> Message:
    """Ask for all IPv4 and IPv6 routes."""
    return request(rtmsg(), RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP)
