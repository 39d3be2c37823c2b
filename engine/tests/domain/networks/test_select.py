"""Filters of list and prune; what may be made."""

import pytest

from engine.core.errors import WharfError
from engine.core.filters import InvalidFilter
from engine.core.model.network import IPAM, IPAMPool, Network
from engine.domain.networks.create_rules import require_valid
from engine.domain.networks.failures import InvalidDanglingFilter, InvalidTypeFilter
from engine.domain.networks.request import NetworkRequest
from engine.domain.networks.select import prunable, select

NETWORKS = [
    Network(name="bridge", id="a1" * 32, created_at=1),
    Network(name="none", id="b2" * 32, created_at=2, driver="null"),
    Network(name="front", id="c3" * 32, created_at=3, labels={"tier": "1"}),
    Network(name="back", id="d4" * 32, created_at=4),
]


def _unused(network: Network) -> bool:
    return network.name != "back"


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["bridge", "none", "front", "back"]),
        ({"type": ["custom"]}, ["front", "back"]),
        ({"type": ["builtin"]}, ["bridge", "none"]),
        ({"name": ["^fr"]}, ["front"]),
        ({"name": ["("]}, []),
        ({"driver": ["null"]}, ["none"]),
        ({"id": ["c3"]}, ["front"]),
        ({"label": ["tier=1"]}, ["front"]),
        ({"dangling": ["true"]}, ["front"]),
        ({"dangling": ["0"]}, ["bridge", "none", "back"]),
    ],
)
def test_lists_are_filtered(filters: dict[str, list[str]], names: list[str]) -> None:
    assert [n.name for n in select(NETWORKS, filters, _unused)] == names


@pytest.mark.parametrize(
    ("filters", "error"),
    [
        ({"bogus": ["1"]}, InvalidFilter),
        ({"type": ["x"]}, InvalidTypeFilter),
        ({"dangling": ["x"]}, InvalidDanglingFilter),
    ],
)
def test_wrong_filters_are_refused(filters: dict[str, list[str]], error: type[WharfError]) -> None:
    with pytest.raises(error):
        select(NETWORKS, filters, _unused)


def test_a_prune_takes_what_nobody_uses() -> None:
    assert [n.name for n in prunable(NETWORKS, {}, _unused)] == ["front"]
    assert not prunable(NETWORKS, {"label!": ["tier"]}, _unused)
    assert [n.name for n in prunable(NETWORKS, {"until": ["1"]}, _unused)] == ["front"]
    assert not prunable([Network(name="new", id="e5" * 32, created_at=2 * 10**9)], {"until": ["1"]}, _unused)


def _pool(**fields: str) -> IPAM:
    return IPAM(config=[IPAMPool(**fields)])


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (NetworkRequest(""), "invalid name: name is empty"),
        (NetworkRequest("host"), "operation is not permitted on predefined host network "),
        (NetworkRequest("n", driver="host"), 'only one instance of "host" network is allowed'),
        (NetworkRequest("n", enable_ipv4=False), "IPv4 or IPv6 must be enabled"),
        (
            NetworkRequest("n", ipam=_pool(subnet="10.56.0.5/16")),
            "invalid network config:\ninvalid subnet 10.56.0.5/16: it should be 10.56.0.0/16",
        ),
        (
            NetworkRequest("n", ipam=_pool(subnet="10.56.0.0/16", gateway="10.57.0.1")),
            (
                "invalid network config:\n"
                "invalid gateway 10.57.0.1: parent subnet 10.56.0.0/16 doesn't contain this address"
            ),
        ),
        (
            NetworkRequest("n", ipam=_pool(subnet="10.56.0.0/16", gateway="fd00::1")),
            "invalid network config:\ninvalid gateway fd00::1: parent subnet is an IPv4 block",
        ),
        (
            NetworkRequest("n", ipam=_pool(subnet="10.56.0.0/16", auxiliary_addresses={"a": "x"})),
            "invalid network config:\ninvalid auxiliary address a: invalid address",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_in_dockerds_words(request_: NetworkRequest, text: str) -> None:
    with pytest.raises(WharfError) as caught:
        require_valid(request_)
    assert str(caught.value) == text
