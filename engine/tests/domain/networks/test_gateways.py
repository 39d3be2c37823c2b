"""Which endpoints lead out, and where ports lead."""

import pytest

from engine.core.model.network import EndpointSettings, Network
from engine.domain.networks.endpoint_options import IFNAME, SYSCTLS, name_problem, sysctl_problems, sysctls
from engine.domain.networks.endpoints import Endpoint
from engine.domain.networks.gateways import choose, port_target
from engine.domain.networks.plan import named_first
from engine.domain.networks.ports import Target
from engine.drivers.netlink.interfaces import DefaultRoute


def _pair(name: str, ipv4: str = "", ipv6: str = "", priority: int = 0, **network):
    made = Network(name=name, id=name * 8, created_at=1, **network)
    settings = EndpointSettings(
        interface=f"if-{name}",
        ip_address=ipv4 and "10.0.0.2",
        gateway=ipv4,
        global_ipv6_address=ipv6 and "fd00::2",
        ipv6_gateway=ipv6,
        gw_priority=priority,
    )
    return made, Endpoint("e", made.id, name, "c" * 64, "web", settings)


A, B = _pair("a", "10.0.0.1"), _pair("b", "10.0.1.1")
BOTH, SIX = _pair("c", "10.0.2.1", "fd02::1"), _pair("d", "", "fd03::1")


@pytest.mark.parametrize(
    ("connected", "routes"),
    [
        ([], []),
        ([B, A], [DefaultRoute(4, "if-a", "10.0.0.1")]),
        ([A, _pair("b", "10.0.1.1", priority=1)], [DefaultRoute(4, "if-b", "10.0.1.1")]),
        ([A, BOTH], [DefaultRoute(4, "if-c", "10.0.2.1"), DefaultRoute(6, "if-c", "fd02::1")]),
        ([A, SIX], [DefaultRoute(4, "if-a", "10.0.0.1"), DefaultRoute(6, "if-d", "fd03::1")]),
        ([_pair("a", "10.0.0.1", internal=True), B], [DefaultRoute(4, "if-b", "10.0.1.1")]),
    ],
)
def test_the_way_out(connected, routes) -> None:
    assert choose(connected).routes() == routes


def test_layer_3_leads_out_without_a_gateway() -> None:
    network, endpoint = _pair("l", driver="ipvlan", options={"ipvlan_mode": "l3"})
    settings = EndpointSettings(interface="eth0", ip_address="10.0.0.2")
    connected = [(network, Endpoint(endpoint.id, network.id, "l", "c" * 64, "web", settings))]
    assert choose(connected).routes() == [DefaultRoute(4, "eth0")]


def test_ports_lead_to_bridges_alone() -> None:
    assert port_target(choose([_pair("m", "10.0.0.1", driver="macvlan")]), direct_routing=False) == Target()
    leg = port_target(choose([A]), direct_routing=False).ipv4
    assert leg is not None
    assert (leg.address, leg.translated, leg.open) == ("10.0.0.2", True, False)


def test_routed_and_trusted_networks_open_ports_at_their_own_address() -> None:
    routed = _pair("r", "10.0.0.1", options={"com.docker.network.bridge.gateway_mode_ipv4": "routed"})
    trusted = _pair("t", "10.0.0.1", options={"com.docker.network.bridge.trusted_host_interfaces": "eth0"})
    legs = [port_target(choose([pair]), direct_routing=False).ipv4 for pair in (routed, trusted)]
    assert [(leg.translated, leg.open) for leg in legs if leg] == [(False, True), (True, True)]


def test_interfaces_with_names_come_first() -> None:
    named = EndpointSettings(driver_opts={IFNAME: "eth0"})
    ordered = named_first([(A[0], EndpointSettings()), (B[0], named)])
    assert [network.name for network, _ in ordered] == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("lan0", ""),
        ("a" * 15, ""),
        ("a" * 16, "numerical result out of range"),
        ("a b", "invalid argument"),
        (".", "invalid argument"),
        ("eth0", "file exists"),
    ],
)
def test_names_of_interfaces(name: str, problem: str) -> None:
    assert name_problem(name, ["eth0"]) == problem


def test_kernel_settings_name_their_interface() -> None:
    asked = {SYSCTLS: "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.ifname.accept_ra=2"}
    assert sysctls(EndpointSettings(driver_opts=asked), "eth3") == (
        ("ipv4/conf/eth3/log_martians", "1"),
        ("ipv6/conf/eth3/accept_ra", "2"),
    )
    assert not sysctl_problems(asked)


@pytest.mark.parametrize(
    "text",
    ["x", "net.ipv4.conf.eth0.a=1", "kernel.ipv4.conf.IFNAME.a=1", "net.ipv4.a/b.IFNAME.c=1", "net.core.a.IFNAME.b=1"],
)
def test_kernel_settings_of_anything_else_are_refused(text: str) -> None:
    (problem,) = sysctl_problems({SYSCTLS: text})
    assert problem.startswith(f"unrecognised network interface sysctl '{text}'; represent ")
