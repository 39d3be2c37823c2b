"""The name server that containers of user-defined networks have: what it knows, what it asks, what it never tells."""

import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from compat_tests.clients import dns
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.dns import NOERROR, NXDOMAIN, SERVFAIL, Reply, Upstream
from compat_tests.clients.namespaces import call_in_network
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually
from compat_tests.networks.asker import Container


@pytest.fixture
def upstream(run: Callable[..., Container], front: None) -> Iterator[tuple[Container, Upstream]]:
    """A container on `front` with a name server in it."""
    host = run("upstream", "--network", "front")
    server = Upstream(lambda bind: call_in_network(host.pid, bind), host.address(), {"example.com": "192.0.2.9"})
    yield host, server
    server.close()


@pytest.mark.usefixtures("front")
def test_what_is_known(run: Callable[..., Container]) -> None:
    web = run("web", "--network", "front", "--network-alias", "site", "--network-alias", "a.b", "--hostname", "inner")
    user = run("user", "--network", "front", "--link", "web:db")
    address, address6 = web.address(), web.address(field="GlobalIPv6Address")
    for name in ("web", "WEB", "web.front", "site", "site.front", "a.b", "a.b.front", "inner", "db", "db.front"):
        assert user.ask(name) == Reply(NOERROR, [address]), name
    for name in (web.id[:12], f"{web.id[:12]}.front"):
        assert user.ask(name) == Reply(NOERROR, [address])
    assert user.ask("web", dns.AAAA) == Reply(NOERROR, [address6])
    assert user.ask("web", dns.MX) == Reply(NOERROR, [])
    assert web.ask("db").code != NOERROR, "links are their owner's"
    for asked in (address, address6):
        pointer = ipaddress.ip_address(asked).reverse_pointer
        assert user.ask(pointer, dns.PTR) == Reply(NOERROR, ["web.front"])


def test_names_stay_on_their_network(cli: DockerCli, run: Callable[..., Container], front: None) -> None:
    cli.ok("network", "create", "back")
    web, both = run("web", "--network", "front"), run("both", "--network", "front")
    stranger = run("stranger", "--network", "back", "--dns", "192.0.2.1")
    cli.ok("network", "connect", "--alias", "mine", "back", "both")
    assert stranger.ask("both.back") == Reply(NOERROR, [both.address("back")])
    assert stranger.ask("mine") == Reply(NOERROR, [both.address("back")])
    for name in ("web", "web.front", ipaddress.ip_address(web.address()).reverse_pointer):
        assert not stranger.knows(name, dns.PTR if "arpa" in name else dns.A)
    assert both.ask("stranger") == Reply(NOERROR, [stranger.address("back")])
    cli.ok("network", "disconnect", "back", "both")
    assert not stranger.knows("both")


@pytest.mark.usefixtures("front")
def test_an_alias_of_many(run: Callable[..., Container]) -> None:
    addresses = [run(f"web{n}", "--network", "front", "--network-alias", "web").address() for n in range(3)]
    user = run("user", "--network", "front")
    replies = [user.ask("web") for _ in range(40)]
    assert all(sorted(reply.answers) == sorted(addresses) for reply in replies)
    assert {reply.answers[0] for reply in replies} == set(addresses), "each comes first now and then"


def test_answers_that_are_too_large_for_udp(cli: DockerCli, run: Callable[..., Container], front: None) -> None:
    user = run("user", "--network", "front")
    argv = ("run", "-d", "--network", "front", "--network-alias", "many", "busybox", "sleep", "600")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: cli.ok(*argv), range(32)))
    short = user.ask("many")
    assert short.truncated
    assert len(short.answers) == 30
    for options in ({"tcp": True}, {"size": 1232}):
        whole = user.ask("many", **options)
        assert (whole.truncated, len(set(whole.answers))) == (False, 32)


def test_other_names_are_asked_of_the_containers_own_servers(
    run: Callable[..., Container], upstream: tuple[Container, Upstream]
) -> None:
    host, server = upstream
    user = run("user", "--network", "front", "--dns", host.address())
    assert user.ask("example.com") == Reply(NOERROR, ["192.0.2.9"])
    assert user.ask("nope.example") == Reply(NXDOMAIN, [])
    assert server.asked[-1] == ("nope.example", user.address()), "from the container's own network"
    server.code = SERVFAIL
    assert user.ask("nope.example") == Reply(SERVFAIL, [])
    server.code = dns.REFUSED
    assert user.ask("nope.example") == Reply(SERVFAIL, [])
    server.code = NXDOMAIN
    asked = len(server.asked)
    assert user.ask("upstream").answers == [host.address()]
    assert len(server.asked) == asked, "own names are nobody else's business"
    assert user.ask("upstream", dns.TXT) == Reply(NXDOMAIN, [])
    assert len(server.asked) == asked + 1


def test_the_next_server_is_asked_when_one_fails(
    run: Callable[..., Container], upstream: tuple[Container, Upstream]
) -> None:
    host, _ = upstream
    user = run("user", "--network", "front", "--dns", "127.0.0.99", "--dns", host.address())
    assert user.ask("example.com") == Reply(NOERROR, ["192.0.2.9"])


def test_internal_networks_ask_nobody(
    cli: DockerCli, run: Callable[..., Container], upstream: tuple[Container, Upstream]
) -> None:
    host, server = upstream
    cli.ok("network", "create", "--internal", "inner")
    cli.ok("network", "connect", "inner", "upstream")
    lonely = run("lonely", "--network", "inner", "--dns", host.address("inner"))
    assert lonely.ask("upstream") == Reply(NOERROR, [host.address("inner")])
    assert lonely.ask("example.com") == Reply(SERVFAIL, [])
    assert not server.asked
    cli.ok("network", "connect", "front", "lonely")
    cli.ok("network", "disconnect", "inner", "lonely")
    assert lonely.ask("upstream") == Reply(NOERROR, [host.address()])


@pytest.mark.usefixtures("front")
def test_a_thousand_quick_questions(run: Callable[..., Container]) -> None:
    web, user = run("web", "--network", "front"), run("user", "--network", "front")
    expected, failures = Reply(NOERROR, [web.address()]), []

    def many() -> None:
        for number in range(125):
            reply = dns.ask("web.front", tcp=number % 25 == 0)
            if reply != expected:
                failures.append(reply)

    started = time.monotonic()
    threads = [threading.Thread(target=lambda: call_in_network(user.pid, many)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert time.monotonic() - started < 10


@pytest.mark.wharfd_only("dockerd's containers end with it unless it is told otherwise")
def test_names_work_again_after_the_daemon_was_killed(
    run: Callable[..., Container], upstream: tuple[Container, Upstream], engine: Daemon
) -> None:
    host, _ = upstream
    user = run("user", "--network", "front", "--dns", host.address())
    engine.kill()
    engine.start()
    eventually(lambda: user.ask("upstream", timeout=1) == Reply(NOERROR, [host.address()]))
    assert user.ask("example.com") == Reply(NOERROR, ["192.0.2.9"])


def test_the_files_in_etc(cli: DockerCli, api: RawHttp, run: Callable[..., Container], front: None) -> None:
    cli.ok("network", "create", "--subnet", "10.215.2.0/24", "back")
    options = ("--dns", "192.0.2.1", "--dns-search", "example.org", "--dns-option", "timeout:3")
    web = run(
        "web",
        "--network",
        "front",
        "--hostname",
        "site",
        "--domainname",
        "example.net",
        "--add-host",
        "a:192.0.2.7",
        *options,
    )
    resolver = cli.ok("exec", "web", "cat", "/etc/resolv.conf").splitlines()
    assert resolver[4:8] == ["nameserver 127.0.0.11", "search example.org", "options timeout:3 ndots:0", ""]
    assert resolver[9:11] == ["# ExtServers: [192.0.2.1]", "# Overrides: [nameservers search options]"]
    own = [
        f"{web.address()}\tsite.example.net site",
        f"{web.address(field='GlobalIPv6Address')}\tsite.example.net site",
    ]
    assert cli.ok("exec", "web", "cat", "/etc/hosts").splitlines()[6:] == ["192.0.2.7\ta", *own]
    cli.ok("network", "connect", "back", "web")
    added = f"{web.address('back')}\tsite.example.net site"
    assert cli.ok("exec", "web", "cat", "/etc/hosts").splitlines()[7:] == [*own, added]
    cli.ok("network", "disconnect", "front", "web")
    assert cli.ok("exec", "web", "cat", "/etc/hosts").splitlines()[7:] == [added]
