"""The rtnetlink messages that bridges and containers' interfaces need. Pure: builds them, sends nothing.

pyroute2's message classes encode them; its sockets and its IPRoute are not used, since a container's start must not
wait for one round trip after the other (see `route_socket.py`).
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.drivers.netlink.rtnl import ifaddrmsg, ifinfmsg, rtmsg

AF_UNSPEC, AF_INET, AF_BRIDGE, AF_INET6 = 0, 2, 7, 10
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
_CHANGE = NLM_F_REQUEST | NLM_F_ACK
_CREATE = _CHANGE | NLM_F_CREATE | NLM_F_EXCL
_IFF_UP = 1
_IFA_F_NODAD = 0x2
_RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST = 254, 3, 0, 1

Message = Any  # pyroute2 has no types


@dataclass(frozen=True, slots=True)
class Interface:
    """One container interface: a veth whose host end is a port of a bridge.

    `addresses` are of the form 172.17.0.2/16; empty gateways: no default route. `isolated`: the port reaches the
    bridge's own address but no other isolated port.
    """

    host_name: str
    bridge: str
    name: str
    mac_address: str
    mtu: int
    addresses: tuple[str, ...]
    gateways: tuple[str, ...] = ()
    isolated: bool = False
    ipv6: bool = False


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


def new_veth(interface: Interface, bridge_index: int, netns: int) -> Message:
    """Make a veth pair in one go: the host end up and in its bridge, the other in the namespace of descriptor `netns`.

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
    message = _link(up=True, ifname=interface.host_name, mtu=interface.mtu, master=bridge_index, linkinfo=linkinfo)
    return request(message, RTM_NEWLINK, _CREATE)


def bridge_port(name: str, *, hairpin: bool, isolated: bool) -> Message:
    """Set how a bridge treats one of its ports. Hairpin: a frame may leave where it came in (a container's own)."""
    data = _attributes({"IFLA_BRPORT_MODE": int(hairpin), "IFLA_BRPORT_ISOLATED": int(isolated)})
    linkinfo = _attributes({"IFLA_INFO_SLAVE_KIND": "bridge", "IFLA_INFO_SLAVE_DATA": data})
    return request(_link(ifname=name, linkinfo=linkinfo), RTM_NEWLINK, _CHANGE)


def set_up(index: int) -> Message:
    """Bring a link up."""
    return request(_link(index=index, up=True), RTM_NEWLINK, _CHANGE)


def set_mtu(name: str, mtu: int) -> Message:
    """Set a link's MTU."""
    return request(_link(ifname=name, mtu=mtu), RTM_NEWLINK, _CHANGE)


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
    message = rtmsg()
    message["family"] = AF_INET if ipaddress.ip_address(gateway).version == 4 else AF_INET6
    message["table"], message["proto"] = _RT_TABLE_MAIN, _RTPROT_BOOT
    message["scope"], message["type"] = _RT_SCOPE_UNIVERSE, _RTN_UNICAST
    message["attrs"] = [("RTA_GATEWAY", gateway), ("RTA_OIF", index)]
    return request(message, RTM_NEWROUTE, _CHANGE | NLM_F_CREATE | NLM_F_REPLACE)


def all_links() -> Message:
    """Ask for all links."""
    return request(_link(), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP)


def all_addresses() -> Message:
    """Ask for all addresses."""
    return request(ifaddrmsg(), RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP)


def all_routes() -> Message:
    """Ask for all IPv4 and IPv6 routes."""
    return request(rtmsg(), RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP)
