"""Subnets and addresses."""

import ipaddress

import pytest

from engine.core.errors import WharfError
from engine.core.model.network import EndpointIPAMConfig, EndpointSettings, IPAMPool, Network
from engine.domain.networks.addresses import NetworkAddresses, first_host
from engine.domain.networks.failures import (
    AddressInUse,
    AddressOutsidePool,
    NoAddressLeft,
    PoolOverlaps,
    PoolsExhausted,
)
from engine.domain.networks.ipam import AddressSpace, Pool, mac_of
from engine.domain.networks.settings import DEFAULT_POOLS, AddressPool


def test_the_lowest_free_address_is_given_first() -> None:
    pool = Pool(ipaddress.ip_network("10.0.0.0/29"))
    assert [pool.take_any() for _ in range(3)] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    pool.release("10.0.0.2")
    assert [pool.take_any(), pool.take_any()] == ["10.0.0.2", "10.0.0.4"]


def test_a_full_pool_says_so_and_never_gives_the_broadcast_address() -> None:
    pool = Pool(ipaddress.ip_network("10.0.0.0/30"))
    assert [pool.take_any(), pool.take_any()] == ["10.0.0.1", "10.0.0.2"]
    assert pool.take_any() == ""


def test_an_address_range_limits_what_is_given_but_not_what_is_asked_for() -> None:
    pool = Pool(ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("10.0.0.128/25"))
    assert pool.take_any() == "10.0.0.128"
    assert pool.take("10.0.0.5") == "10.0.0.5"
    with pytest.raises(AddressInUse):
        pool.take("10.0.0.5")
    with pytest.raises(AddressOutsidePool):
        pool.take("10.0.1.5")


def test_subnets_do_not_overlap_each_other_nor_the_hosts_routes() -> None:
    space = AddressSpace((AddressPool("172.18.0.0/16", 20),))
    first = space.take_any("a", [ipaddress.ip_network("172.18.0.0/19")])
    assert str(first) == "172.18.32.0/20"
    with pytest.raises(PoolOverlaps):
        space.take("b", [ipaddress.ip_network("172.18.40.0/24")])
    space.release("a")
    space.take("b", [ipaddress.ip_network("172.18.40.0/24")])


def test_the_default_pools_hold_hundreds_of_networks() -> None:
    space = AddressSpace(DEFAULT_POOLS)
    for number in range(480):
        space.take_any(str(number), [])
    with pytest.raises(PoolsExhausted):
        AddressSpace((AddressPool("10.0.0.0/24", 24),)).take_any("x", [ipaddress.ip_network("10.0.0.0/8")])


def _network() -> Network:
    pools = [IPAMPool(subnet="10.0.0.0/24", gateway="10.0.0.1"), IPAMPool(subnet="fd00::/64", gateway="fd00::1")]
    return Network(name="n", id="i" * 64, created_at=1, enable_ipv6=True, pools=pools)


def test_an_endpoint_gets_an_address_of_each_family() -> None:
    addresses = NetworkAddresses(_network())
    assert addresses.own == ("10.0.0.1/24", "fd00::1/64")
    ipv4, ipv6 = addresses.take(EndpointSettings())
    assert (ipv4.cidr, ipv4.gateway, ipv6.cidr) == ("10.0.0.2/24", "10.0.0.1", "fd00::2/64")


def test_a_full_network_says_which_family_it_lacks() -> None:
    network = Network(name="n", id="i" * 64, created_at=1, pools=[IPAMPool(subnet="10.0.0.0/30", gateway="10.0.0.1")])
    addresses = NetworkAddresses(network)
    addresses.take(EndpointSettings())
    with pytest.raises(NoAddressLeft, match=f"no available IPv4 addresses .*: n \\({'i' * 64}\\)"):
        addresses.take(EndpointSettings())


def test_an_address_of_a_family_that_the_network_lacks_is_passed_over() -> None:
    network = Network(name="n", id="i" * 64, created_at=1, pools=[IPAMPool(subnet="10.0.0.0/24")])
    asked = EndpointSettings(ipam_config=EndpointIPAMConfig(ipv6_address="fd01::9"))
    ipv4, ipv6 = NetworkAddresses(network).take(asked)
    assert (ipv4.address, ipv6.address) == ("10.0.0.1", "")


@pytest.mark.parametrize(
    ("pool", "text"),
    [
        (
            IPAMPool(subnet="10.0.0.0/24", gateway="10.0.0.0"),
            "failed to allocate gateway (10.0.0.0): Address already in use",
        ),
        (
            IPAMPool(subnet="10.0.0.0/24", gateway="10.0.0.1", auxiliary_addresses={"a": "10.0.0.1"}),
            "failed to allocate secondary ip address (a:10.0.0.1): Address already in use",
        ),
    ],
)
def test_reserved_addresses_are_of_the_subnet_and_differ(pool: IPAMPool, text: str) -> None:
    with pytest.raises(WharfError) as caught:
        NetworkAddresses(Network(name="n", id="i" * 64, created_at=1, pools=[pool]))
    assert str(caught.value) == text


def test_an_auxiliary_address_may_be_what_containers_take_for_their_gateway() -> None:
    pool = IPAMPool(subnet="10.0.0.0/24", gateway="10.0.0.1", auxiliary_addresses={"DefaultGatewayIPv4": "10.0.0.9"})
    addresses = NetworkAddresses(Network(name="n", id="i" * 64, created_at=1, pools=[pool]))
    assert addresses.own == ("10.0.0.1/24",)
    assert addresses.take(EndpointSettings())[0].gateway == "10.0.0.9"


@pytest.mark.parametrize(
    ("subnet", "ip_range", "first"),
    [
        ("10.0.0.0/24", "", "10.0.0.1"),
        ("10.0.0.0/24", "10.0.0.128/25", "10.0.0.128"),
        ("10.0.0.0/24", "10.0.0.0/25", "10.0.0.1"),
        ("10.0.0.0/31", "", "10.0.0.0"),
        ("10.0.0.0/32", "", "10.0.0.0"),
        ("fd00::/64", "", "fd00::1"),
    ],
)
def test_a_gateway_is_the_first_address_that_may_be_given(subnet: str, ip_range: str, first: str) -> None:
    assert first_host(ipaddress.ip_network(subnet), ip_range) == first


def test_nothing_is_kept_when_one_family_fails() -> None:
    addresses = NetworkAddresses(_network())
    asked = EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.0.0.9", ipv6_address="fd01::9"))
    with pytest.raises(AddressOutsidePool):
        addresses.take(asked)
    addresses.take(EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.0.0.9")))


def test_the_mac_address_follows_from_the_ipv4_address() -> None:
    assert mac_of("172.17.0.2") == "02:42:ac:11:00:02"
