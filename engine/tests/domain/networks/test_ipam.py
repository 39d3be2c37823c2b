"""Subnets and addresses."""

import ipaddress

import pytest

from engine.core.model.network import EndpointIPAMConfig, EndpointSettings, IPAMPool, Network
from engine.domain.networks.addresses import NetworkAddresses
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
    with pytest.raises(NoAddressLeft):
        pool.take_any()


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
    assert addresses.gateways == ("10.0.0.1/24", "fd00::1/64")
    ipv4, ipv6 = addresses.take(EndpointSettings())
    assert (ipv4.cidr, ipv4.gateway, ipv6.cidr) == ("10.0.0.2/24", "10.0.0.1", "fd00::2/64")


def test_nothing_is_kept_when_one_family_fails() -> None:
    addresses = NetworkAddresses(_network())
    asked = EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.0.0.9", ipv6_address="fd01::9"))
    with pytest.raises(AddressOutsidePool):
        addresses.take(asked)
    addresses.take(EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.0.0.9")))


def test_the_mac_address_follows_from_the_ipv4_address() -> None:
    assert mac_of("172.17.0.2") == "02:42:ac:11:00:02"
