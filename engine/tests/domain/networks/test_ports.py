"""Published ports: what is asked for, what is held, where it leads."""

import socket

import pytest

from engine.core.model.network import PortBinding
from engine.domain.networks.failures import PortUnavailable
from engine.domain.networks.ports import Leg, PortPublisher, Target, exposed_ports
from engine.domain.networks.sandbox import SandboxRequest
from engine.domain.networks.wanted_ports import InvalidPort, parse_port, parse_range, wanted_ports
from engine.drivers.firewall.host_ports import HostPorts
from engine.drivers.firewall.rules import PortRule

TARGET = Target(Leg("10.0.0.2", "web", "e" * 64))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _request(**bindings: list[PortBinding]) -> SandboxRequest:
    return SandboxRequest("c", "web", port_bindings={k.replace("_", "/"): v for k, v in bindings.items()})


def _publisher(*, relay: bool = False) -> PortPublisher:
    return PortPublisher(HostPorts(), "0.0.0.0", ipv6=relay, relay=relay)


@pytest.mark.parametrize(("text", "port"), [("80/tcp", (80, "tcp")), ("53/udp", (53, "udp")), ("80", (80, "tcp"))])
def test_ports_are_parsed(text: str, port: tuple[int, str]) -> None:
    assert parse_port(text) == port


@pytest.mark.parametrize("text", ["x/tcp", "0/tcp", "65536/tcp", ""])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(InvalidPort):
        parse_port(text)


def test_ranges_are_parsed() -> None:
    assert list(parse_range("8000-8002")) == [8000, 8001, 8002]
    assert not parse_range("")
    with pytest.raises(InvalidPort):
        parse_range("9-8")


def test_publish_all_takes_what_is_exposed_and_not_bound() -> None:
    request = SandboxRequest(
        "c",
        "web",
        port_bindings={"81/tcp": [PortBinding(host_port="8081")]},
        exposed_ports=("80/tcp",),
        publish_all=True,
    )
    assert [w.key for w in wanted_ports(request)] == ["80/tcp", "81/tcp"]
    assert sorted(exposed_ports(request)) == ["80/tcp", "81/tcp"]


def test_a_port_is_held_and_led_to_the_container() -> None:
    port, publisher = _free_port(), _publisher()
    published = publisher.publish(
        _request(**{"80_tcp": [PortBinding(host_ip="127.0.0.1", host_port=str(port))]}), TARGET
    )
    assert published.ports == {"80/tcp": [PortBinding(host_ip="127.0.0.1", host_port=str(port))]}
    (rule,) = published.rules
    assert (rule.host_address, rule.host_port, rule.container_address, rule.container_port) == (
        "127.0.0.1",
        port,
        "10.0.0.2",
        80,
    )
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", port))
    publisher.release(published.held)
    socket.create_server(("127.0.0.1", port)).close()


def test_a_port_of_another_container_is_allocated_already() -> None:
    port, publisher = _free_port(), _publisher()
    publisher.publish(_request(**{"80_tcp": [PortBinding(host_port=str(port))]}), TARGET)
    with pytest.raises(PortUnavailable, match=f"Bind for 0.0.0.0:{port} failed: port is already allocated"):
        publisher.publish(_request(**{"80_tcp": [PortBinding(host_ip="127.0.0.1", host_port=str(port))]}), TARGET)


def test_a_port_of_another_program_is_in_use_and_nothing_stays_held() -> None:
    publisher, free = _publisher(), _free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        bindings = {
            "79_tcp": [PortBinding(host_port=str(free))],
            "80_tcp": [PortBinding(host_ip="127.0.0.1", host_port=str(port))],
        }
        expected = f"failed to bind host port for 127.0.0.1:{port}:10.0.0.2:80/tcp: address already in use"
        with pytest.raises(PortUnavailable, match=expected):
            publisher.publish(_request(**bindings), TARGET)
    socket.create_server(("0.0.0.0", free)).close()


def test_a_range_gives_its_first_free_port() -> None:
    port, publisher = _free_port(), _publisher()
    ranged = PortBinding(host_ip="127.0.0.1", host_port=f"{port}-{port + 20}")
    first = publisher.publish(_request(**{"80_tcp": [ranged]}), TARGET)
    second = publisher.publish(_request(**{"80_tcp": [ranged]}), TARGET)
    assert first.ports != second.ports


def test_an_ipv6_port_of_a_container_without_ipv6_is_relayed() -> None:
    port, publisher = _free_port(), _publisher(relay=True)
    published = publisher.publish(_request(**{"80_tcp": [PortBinding(host_port=str(port))]}), TARGET)
    assert [b.host_ip for b in published.ports["80/tcp"] or ()] == ["0.0.0.0", "::"]
    assert [r.host_address for r in published.rules] == [""]
    assert [(r.address, r.port) for r in published.relayed] == [("10.0.0.2", 80)]


def test_the_hosts_own_ipv6_loopback_is_relayed_even_to_ipv6() -> None:
    port, publisher = _free_port(), _publisher(relay=True)
    target = Target(Leg("10.0.0.2"), Leg("fd00::2"))
    published = publisher.publish(_request(**{"80_tcp": [PortBinding(host_port=str(port))]}), target)
    assert [r.container_address for r in published.rules] == ["10.0.0.2", "fd00::2"]
    assert [r.address for r in published.relayed] == ["fd00::2"]


def test_redirecting_keeps_host_ports_and_changes_where_they_lead() -> None:
    port, publisher = _free_port(), _publisher()
    before = publisher.publish(_request(**{"80_tcp": [PortBinding(host_port=str(port))]}), TARGET)
    after = publisher.redirect(before, Target(Leg("10.1.0.2")))
    assert (after.ports, after.held) == (before.ports, before.held)
    assert after.rules[0].container_address == "10.1.0.2"


def test_a_running_containers_ports_are_adopted_even_where_one_was_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        published = _publisher().adopt(
            _request(), {"80/tcp": [PortBinding(host_ip="127.0.0.1", host_port=str(port))]}, TARGET
        )
    assert len(published.rules) == 1
    assert not published.held


def test_a_routed_ports_own_address_is_open_and_no_port_of_the_host_leads_there() -> None:
    routed = Target(Leg("10.0.0.2", translated=False, open=True))
    published = _publisher().publish(_request(**{"80_tcp": [PortBinding(host_ip="127.0.0.1", host_port="1")]}), routed)
    assert published.ports == {"80/tcp": [PortBinding(host_ip="0.0.0.0")]}
    assert published.rules == [PortRule("tcp", "", 0, "10.0.0.2", 80)]
    assert not published.held


def test_a_network_may_have_an_address_of_its_own_to_publish_on() -> None:
    published = _publisher(relay=True).publish(
        _request(**{"80_tcp": [PortBinding()]}), Target(Leg("10.0.0.2", host_binding="127.0.0.1"))
    )
    assert [b.host_ip for b in published.ports["80/tcp"] or ()] == ["127.0.0.1"]


def test_families_may_lead_to_different_endpoints() -> None:
    published = _publisher(relay=True).publish(
        _request(**{"80_tcp": [PortBinding()]}), Target(None, Leg("fd00::2", "web"))
    )
    assert [b.host_ip for b in published.ports["80/tcp"] or ()] == ["::"]
    assert [r.container_address for r in published.rules] == ["fd00::2"]


def test_other_ports_keep_what_stays_and_take_over_what_moves() -> None:
    publisher, kept, moved = _publisher(), _free_port(), _free_port()
    before = publisher.publish(
        _request(**{"80_tcp": [PortBinding(host_port=str(kept))], "81_tcp": [PortBinding(host_port=str(moved))]}),
        TARGET,
    )
    after = publisher.publish(
        _request(**{"80_tcp": [PortBinding(host_port=str(kept))], "82_tcp": [PortBinding(host_port=str(moved))]}),
        TARGET,
        before,
    )
    assert after.entries[0] is before.entries[0]
    assert set(after.held) == set(before.held)
    assert [(r.host_port, r.container_port) for r in after.rules] == [(kept, 80), (moved, 82)]


def test_other_ports_that_cannot_be_had_change_nothing() -> None:
    publisher, port, free = _publisher(), _free_port(), _free_port()
    before = publisher.publish(_request(**{"80_tcp": [PortBinding(host_port=str(port))]}), TARGET)
    other = publisher.publish(_request(**{"80_tcp": [PortBinding(host_port=str(free))]}), TARGET)
    wanted = {"81_tcp": [PortBinding(host_port=str(port))], "82_tcp": [PortBinding(host_port=str(free))]}
    with pytest.raises(PortUnavailable, match="port is already allocated"):
        publisher.publish(_request(**wanted), TARGET, before)
    assert set(publisher._host_ports._held) == {*before.held, *other.held}


def test_what_a_container_asked_for_is_told_from_what_it_got() -> None:
    publisher, first, second = _publisher(), _free_port(), _free_port()
    recorded = [PortBinding(host_ip="0.0.0.0", host_port=str(p)) for p in (first, second)]
    request = _request(**{"80_tcp": [PortBinding(), PortBinding(host_port=str(second))]})
    adopted = publisher.adopt(request, {"80/tcp": recorded}, TARGET)
    assert [e.wanted.host_ports for e in adopted.entries] == [range(0), range(second, second + 1)]
    assert publisher.publish(request, TARGET, adopted).held == adopted.held


def test_a_routed_container_without_ipv6_is_relayed_from_a_port_of_the_host() -> None:
    port = _free_port()
    routed = Target(Leg("10.0.0.2", translated=False, open=True))
    published = _publisher(relay=True).publish(_request(**{"80_tcp": [PortBinding(host_port=str(port))]}), routed)
    assert published.ports["80/tcp"] == [PortBinding(host_ip="0.0.0.0"), PortBinding(host_ip="::", host_port=str(port))]
    assert [(r.address, r.port) for r in published.relayed] == [("10.0.0.2", 80)]
