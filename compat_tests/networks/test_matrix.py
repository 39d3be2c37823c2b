"""Packets under each firewall backend, in both families: what gets through, from where, and what does not.

Each engine runs in a network of its own, with another machine on a wire beside it.
"""

import contextlib
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from compat_tests.clients import outside
from compat_tests.clients.namespaces import PrivateNamespaces, call_in_network
from compat_tests.clients.outside import Outside
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite, finish, load_busybox
from compat_tests.networks.site import WHO, Site, seen_outside

# Seconds within which an answer would have come that is not to come.
SOON = 0.3
SECOND = "203.0.113.77"


def ask_udp(address: str, port: int) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        try:
            sock.sendto(b"hello", (address, port))
            return sock.recv(100)
        except OSError:
            return b""


@contextmanager
def udp_echo(pid: int, port: int) -> Iterator[None]:
    """A server in that process's network that sends back what it gets."""

    def bind() -> socket.socket:
        server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        server.bind(("::", port))
        return server

    server = call_in_network(pid, bind)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                data, client = server.recvfrom(100)
                if not data:
                    return
                server.sendto(data, client)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # Says that it is not connected, and wakes the thread all the same.
        thread.join()
        server.close()


@pytest.fixture(scope="module", params=["nftables", "iptables"])
def engine_beside(request: pytest.FixtureRequest, suite: Suite) -> Iterator[Site]:
    if suite.kind == "dockerd" and request.param == "nftables":
        pytest.skip("dockerd 28 has iptables alone")
    arguments = ("--firewall-backend", request.param) if suite.kind == "wharfd" else ()
    daemon = suite.daemon(*arguments, network="private")
    assert isinstance(daemon.namespaces, PrivateNamespaces)
    other = Outside(daemon.namespaces)
    try:
        daemon.start()
        load_busybox(daemon)
        yield Site(daemon, other)
        daemon.wipe()
    finally:
        other.close()
        finish(daemon)


@pytest.fixture
def site(engine_beside: Site) -> Iterator[Site]:
    yield engine_beside
    engine_beside.engine.wipe()


def _dual_stack(site: Site, name: str, number: int, *options: str) -> None:
    subnets = ("--subnet", f"10.215.{number}.0/24", "--subnet", f"fd15:{number}::/64")
    site.cli.ok("network", "create", "--ipv6", *subnets, *options, name)


def test_published_ports_are_reached_from_everywhere_and_see_who_asks(site: Site) -> None:
    _dual_stack(site, "front", 1)
    _dual_stack(site, "back", 2)
    site.serve("--network", "front", "-p", "8080:80")
    site.cli.ok("run", "-d", "--name", "user", "--network", "back", "busybox", "sleep", "600")
    eventually(lambda: site.there(outside.HOST, 8080) == outside.OWN)
    eventually(lambda: site.there(outside.HOST_IPV6, 8080) == outside.OWN_IPV6)
    assert site.here("127.0.0.1", 8080) == "10.215.1.1"
    assert site.here(outside.HOST, 8080)
    assert site.here("::1", 8080)
    assert site.here(outside.HOST_IPV6, 8080)
    assert site.inside("web", outside.HOST, 8080), "hairpin"
    assert site.inside("web", "10.215.1.1", 8080), "hairpin at the gateway"


def test_networks_are_apart(site: Site) -> None:
    _dual_stack(site, "front", 1)
    _dual_stack(site, "back", 2)
    site.serve("--network", "front")
    for network in ("front", "back"):
        site.cli.ok("run", "-d", "--name", f"in-{network}", "--network", network, "busybox", "sleep", "600")
    addresses = (site.address("web", "front"), site.address("web", "front", "GlobalIPv6Address"))
    for address in addresses:
        eventually(lambda address=address: site.inside("in-front", address))
        assert site.here(address, 80)
        assert not site.inside("in-back", address, timeout=SOON)
        assert not site.there(address, 80, timeout=SOON), "a route is not enough"


def test_containers_that_are_not_to_talk_do_not(site: Site) -> None:
    _dual_stack(site, "quiet", 3, "-o", "com.docker.network.bridge.enable_icc=false")
    site.serve("--network", "quiet", "-p", "8080:80")
    site.cli.ok("run", "-d", "--name", "user", "--network", "quiet", "busybox", "sleep", "600")
    eventually(lambda: site.there(outside.HOST, 8080))
    for field in ("IPAddress", "GlobalIPv6Address"):
        assert not site.inside("user", site.address("web", "quiet", field), timeout=SOON)


def test_containers_go_out_under_the_hosts_address(site: Site) -> None:
    _dual_stack(site, "front", 1)
    site.cli.ok("run", "-d", "--name", "user", "--network", "front", "busybox", "sleep", "600")
    assert seen_outside(site, "user", outside.OWN) == outside.HOST
    assert seen_outside(site, "user", outside.OWN_IPV6) == outside.HOST_IPV6


@pytest.mark.wharfd_only("dockerd 28.5 drops the answers")
def test_containers_may_go_out_under_their_own_address(site: Site) -> None:
    _dual_stack(site, "open", 4, "-o", "com.docker.network.bridge.enable_ip_masquerade=false")
    site.cli.ok("run", "-d", "--name", "user", "--network", "open", "busybox", "sleep", "600")
    assert seen_outside(site, "user", outside.OWN) == site.address("user", "open")


def test_containers_may_go_out_under_a_certain_address(site: Site) -> None:
    _dual_stack(site, "front", 1, "-o", f"com.docker.network.host_ipv4={SECOND}")
    site.shell(f"ip address add {SECOND}/32 dev wire0")
    site.cli.ok("run", "-d", "--name", "user", "--network", "front", "busybox", "sleep", "600")
    try:
        assert seen_outside(site, "user", outside.OWN) == SECOND
    finally:
        site.shell(f"ip address del {SECOND}/32 dev wire0")


def test_an_internal_network_is_on_its_own(site: Site) -> None:
    _dual_stack(site, "inner", 5, "--internal")
    site.serve("--network", "inner", "-p", "8080:80")
    site.cli.ok("run", "-d", "--name", "user", "--network", "inner", "busybox", "sleep", "600")
    address = site.address("web", "inner")
    eventually(lambda: site.inside("user", address))
    assert site.cli.ok("exec", "user", "ip", "route").splitlines() == [
        f"10.215.5.0/24 dev eth0 scope link  src {site.address('user', 'inner')}"
    ]
    assert site.cli.ok("inspect", "-f", "{{json .NetworkSettings.Ports}}", "web") == "{}"
    assert not site.there(outside.HOST, 8080, timeout=SOON)
    site.cli.ok("exec", "--privileged", "user", "ip", "route", "add", "default", "via", "10.215.5.1")
    assert not site.inside("user", outside.OWN, 9, timeout=SOON)


@pytest.mark.parametrize(
    ("options", "reached", "unpublished_reached", "masqueraded"),
    [
        ((), False, False, True),
        (("gateway_mode_ipv4=routed", "gateway_mode_ipv6=routed"), True, False, False),
        (("gateway_mode_ipv4=nat-unprotected", "gateway_mode_ipv6=nat-unprotected"), True, True, True),
        (("trusted_host_interfaces=wire0",), True, False, True),
    ],
    ids=["nat", "routed", "nat-unprotected", "trusted"],
)
def test_gateway_modes(
    site: Site, options: tuple[str, ...], reached: bool, unpublished_reached: bool, masqueraded: bool
) -> None:
    named = [text for option in options for text in ("-o", f"com.docker.network.bridge.{option}")]
    _dual_stack(site, "front", 6, *named)
    _dual_stack(site, "back", 7)
    site.serve("--network", "front", "-p", "8080:80")
    site.serve("--network", "front", name="private")
    site.cli.ok("run", "-d", "--name", "user", "--network", "front", "busybox", "sleep", "600")
    site.cli.ok("run", "-d", "--name", "stranger", "--network", "back", "busybox", "sleep", "600")
    eventually(lambda: site.inside("user", site.address("web", "front")))
    eventually(lambda: site.inside("user", site.address("private", "front")))
    for field in ("IPAddress", "GlobalIPv6Address"):
        for container, expected in (("web", reached), ("private", unpublished_reached)):
            timeout = 1 if expected else SOON
            assert bool(site.there(site.address(container, "front", field), 80, timeout)) is expected
        assert not site.inside("stranger", site.address("private", "front", field), timeout=SOON)
    assert (seen_outside(site, "user", outside.OWN) == outside.HOST) is masqueraded
    ports = site.cli.ok("inspect", "-f", "{{json .NetworkSettings.Ports}}", "web")
    host_port = "" if "gateway_mode_ipv4=routed" in options else "8080"
    assert ports == (
        f'{{"80/tcp":[{{"HostIp":"0.0.0.0","HostPort":"{host_port}"}},{{"HostIp":"::","HostPort":"{host_port}"}}]}}'
    )


def test_a_loopback_port_is_this_machines_alone(site: Site) -> None:
    site.serve("-p", "127.0.0.1:8080:80")
    eventually(lambda: site.here("127.0.0.1", 8080))
    assert not site.here(outside.HOST, 8080, timeout=SOON)
    assert not site.there(outside.HOST, 8080, timeout=SOON)
    assert not site.there(site.address("web", "bridge"), 80, timeout=SOON), "a route is not enough"
    # A neighbour who sends packets for 127.0.0.1 onto the wire.
    setup = (
        "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip address del 127.0.0.1/8 dev lo; "
        f"ip rule del pref 0; ip rule add pref 1 lookup local; ip route add 127.0.0.1 via {outside.HOST}"
    )
    subprocess.run(site.outside.command(["sh", "-ec", setup]), check=True)
    try:
        assert not site.there("127.0.0.1", 8080, timeout=SOON)
    finally:
        subprocess.run(site.outside.command(["ip", "address", "add", "127.0.0.1/8", "dev", "lo"]), check=True)
    site.cli.ok("run", "-d", "--name", "user", "busybox", "sleep", "600")
    assert not site.inside("user", "127.0.0.1", 8080, timeout=SOON)


def test_a_loopback_port_of_ipv6_is_this_machines_alone(site: Site) -> None:
    _dual_stack(site, "front", 1)
    site.serve("--network", "front", "-p", "[::1]:8080:80")
    eventually(lambda: site.here("::1", 8080))
    assert not site.here(outside.HOST_IPV6, 8080, timeout=SOON)
    assert not site.there(outside.HOST_IPV6, 8080, timeout=SOON)
    assert not site.there(site.address("web", "front", "GlobalIPv6Address"), 80, timeout=SOON), "a route is not enough"


def test_a_port_on_one_address(site: Site) -> None:
    site.serve("-p", f"{outside.HOST}:8080:80", "-p", f"[{outside.HOST_IPV6}]:8081:80")
    eventually(lambda: site.there(outside.HOST, 8080))
    assert not site.here("198.51.100.10", 8080, timeout=SOON)
    assert not site.here("127.0.0.1", 8080, timeout=SOON)
    assert site.here(outside.HOST_IPV6, 8081)
    assert not site.here("::1", 8081, timeout=SOON)


def test_udp_over_ipv6_to_a_container_that_has_only_ipv4(site: Site) -> None:
    site.cli.ok("run", "-d", "--name", "echo", "-p", "5354:53/udp", "busybox", "sleep", "600")
    with udp_echo(site.pid("echo"), 53):
        for _ in range(3):
            assert site.outside.call(lambda: ask_udp(outside.HOST_IPV6, 5354)) == b"hello"
            assert site.engine.namespaces.call(lambda: ask_udp("::1", 5354)) == b"hello"
        assert site.outside.call(lambda: ask_udp(outside.HOST, 5354)) == b"hello"
    site.cli.ok("rm", "-f", "echo")
    site.cli.ok("run", "-d", "--name", "echo", "-p", f"[{outside.HOST_IPV6}]:5354:53/udp", "busybox", "sleep", "600")
    with udp_echo(site.pid("echo"), 53):
        assert site.outside.call(lambda: ask_udp(outside.HOST_IPV6, 5354)) == b"hello"


def test_udp_is_answered_from_where_it_was_asked(site: Site) -> None:
    _dual_stack(site, "front", 1)
    site.cli.ok("run", "-d", "--name", "echo", "--network", "front", "-p", "5353:53/udp", "busybox", "sleep", "600")
    with udp_echo(site.pid("echo"), 53):
        assert site.outside.call(lambda: ask_udp(outside.HOST, 5353)) == b"hello"
        assert site.outside.call(lambda: ask_udp(outside.HOST_IPV6, 5353)) == b"hello"
        assert site.engine.namespaces.call(lambda: ask_udp("127.0.0.1", 5353)) == b"hello"


def test_ranges_and_ephemeral_ports(site: Site) -> None:
    for name, port in (("one", 8080), ("two", 8081)):
        site.serve("-p", "8080-8082:80", "-p", "81", name=name)
        assert site.port(name) == port
        eventually(lambda port=port: site.there(outside.HOST, port))
    assert site.port("one", "81") != site.port("two", "81")
    site.cli.ok("run", "-d", "--name", "many", "-p", "9000-9004:90-94/tcp", "busybox", "sleep", "600")
    listed = site.cli.ok("port", "many").splitlines()
    assert {line for line in listed if "0.0.0.0" in line} == {f"{90 + n}/tcp -> 0.0.0.0:{9000 + n}" for n in range(5)}


def _has_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_sctp(), reason="the kernel has no SCTP")
def test_sctp_is_published(site: Site) -> None:
    site.cli.ok("run", "-d", "--name", "signals", "-p", "127.0.0.1:3868:3868/sctp", "busybox", "sleep", "600")
    assert site.cli.ok("port", "signals") == "3868/sctp -> 127.0.0.1:3868"
    rules = site.shell("iptables-save -t nat; nft list ruleset")
    assert re.search(r"sctp.*3868", rules)


def test_ports_that_cannot_be_had(site: Site) -> None:
    site.serve("-p", "8080:80")
    taken = site.cli.fails("run", "--rm", "-p", "8080:80", "busybox", "true")
    assert re.search(
        r"driver failed programming external connectivity on endpoint \w+ \([0-9a-f]{64}\): "
        r"Bind for 0\.0\.0\.0:8080 failed: port is already allocated",
        taken,
    )
    with site.engine.namespaces.call(lambda: socket.create_server(("127.0.0.1", 8090))):
        used = site.cli.fails("run", "--rm", "-p", "127.0.0.1:8090:80", "busybox", "true")
    assert re.search(
        r"driver failed programming external connectivity on endpoint \w+ \([0-9a-f]{64}\): "
        r"failed to bind host port for 127\.0\.0\.1:8090:[0-9.]+:80/tcp: address already in use",
        used,
    )


@pytest.mark.wharfd_only("dockerd sets its rules again at the bidding of firewalld alone")
@pytest.mark.parametrize(
    "flush", ["nft flush ruleset", "iptables -F; iptables -t nat -F; ip6tables -F; ip6tables -t nat -F"]
)
def test_rules_that_are_flushed_come_back(site: Site, flush: str) -> None:
    _dual_stack(site, "front", 1)
    _dual_stack(site, "back", 2)
    site.serve("--network", "front", "-p", "8080:80", "-p", "127.0.0.1:8081:80")
    site.cli.ok("run", "-d", "--name", "user", "--network", "back", "busybox", "sleep", "600")
    eventually(lambda: site.there(outside.HOST, 8080))
    for _ in range(3):
        site.shell(flush)
        eventually(lambda: site.there(outside.HOST, 8080) == outside.OWN)
        eventually(lambda: site.there(outside.HOST_IPV6, 8080) == outside.OWN_IPV6)
        eventually(lambda: site.here("127.0.0.1", 8081))
        eventually(lambda: not site.inside("user", site.address("web", "front"), timeout=SOON))
        assert not site.there(outside.HOST, 8081, timeout=SOON)


@pytest.mark.wharfd_only("dockerd sets its rules again at the bidding of firewalld alone")
def test_rules_are_flushed_while_containers_come_and_go(site: Site) -> None:
    _dual_stack(site, "front", 1)
    site.serve("--network", "front", "-p", "8080:80")
    until = time.monotonic() + 5

    def churn() -> None:
        while time.monotonic() < until:
            # What a flush meets half way may fail; what must not is what comes afterwards.
            site.cli.run("run", "--rm", "--network", "front", "-p", "127.0.0.1::80", "busybox", "true")

    with ThreadPoolExecutor(2) as pool:
        churning = [pool.submit(churn) for _ in range(2)]
        while time.monotonic() < until:
            site.shell("nft flush ruleset")
            time.sleep(0.3)
        for each in churning:
            each.result()
    eventually(lambda: site.there(outside.HOST, 8080) == outside.OWN)
    site.cli.ok("run", "-d", "--name", "last", "--network", "front", "-p", "8082:80", "busybox", "sh", "-c", WHO)
    eventually(lambda: site.there(outside.HOST, 8082) == outside.OWN)


def test_what_the_user_drops_is_dropped(site: Site) -> None:
    _dual_stack(site, "front", 1)
    site.serve("--network", "front", "-p", "8080:80")
    eventually(lambda: site.there(outside.HOST, 8080))
    rule = f"DOCKER-USER -s {outside.OWN} -j DROP"
    site.shell(f"iptables -I {rule}")
    try:
        assert not site.there(outside.HOST, 8080, timeout=SOON)
        assert site.there(outside.HOST_IPV6, 8080)
        site.cli.ok("network", "create", "another")
        assert not site.there(outside.HOST, 8080, timeout=SOON)
    finally:
        site.shell(f"iptables -D {rule}")
    eventually(lambda: site.there(outside.HOST, 8080))


def test_a_container_does_not_tell_the_host_where_to_route(site: Site) -> None:
    """CVE-2020-13401: router advertisements that a container sends are nothing to the host."""
    _dual_stack(site, "front", 1)
    site.cli.ok("run", "-d", "--name", "rogue", "--network", "front", "busybox", "sleep", "600")
    bridge = "br-" + site.cli.ok("network", "inspect", "-f", "{{slice .Id 0 12}}", "front")
    assert site.shell(f"cat /proc/sys/net/ipv6/conf/{bridge}/accept_ra") == "0\n"
    before = site.shell("ip -6 route show default")

    def advertise() -> None:
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
            raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            index = socket.if_nametoindex("eth0")
            # Type 134, hop limit 64, lifetime of a default router 1800 s (RFC 4861, 4.2).
            advertisement = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
            eventually(lambda: raw.sendto(advertisement, ("ff02::1", 0, 0, index)))

    call_in_network(site.pid("rogue"), advertise)
    time.sleep(0.2)
    assert site.shell("ip -6 route show default") == before


def test_a_host_that_did_not_route_does_so_for_containers_alone(site: Site, suite: Suite) -> None:
    daemon = suite.daemon(*site.engine.options.arguments, network="private")
    assert isinstance(daemon.namespaces, PrivateNamespaces)
    other = Outside(daemon.namespaces)
    try:
        subprocess.run(daemon.namespaces.command(["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"]), check=True)
        daemon.start()
        load_busybox(daemon)
        fresh = Site(daemon, other)
        assert fresh.shell("cat /proc/sys/net/ipv4/ip_forward") == "1\n"
        assert fresh.shell("iptables -S FORWARD").splitlines()[0] == "-P FORWARD DROP"
        fresh.serve("-p", "8080:80")
        eventually(lambda: fresh.there(outside.HOST, 8080) == outside.OWN)
        assert seen_outside(fresh, "web", outside.OWN) == outside.HOST
        assert not fresh.there("198.51.100.99", 80)
        daemon.wipe()
    finally:
        other.close()
        finish(daemon)
