"""What a container reads in /etc/hosts and /etc/resolv.conf."""

from engine.domain.containers.etc_files import Resolver, extra_host, hosts_text, own_names, resolv_conf_text

HOST = "search corp.example\nnameserver 127.0.0.53\nnameserver 10.0.0.1\noptions ndots:2\n"


def test_loopback_resolvers_of_the_host_are_left_out() -> None:
    assert resolv_conf_text(HOST, Resolver()) == "nameserver 10.0.0.1\nsearch corp.example\noptions ndots:2\n"
    assert resolv_conf_text("nameserver 127.0.0.1\n", Resolver()) == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"


def test_what_the_client_asks_for_replaces_the_hosts() -> None:
    wanted = Resolver(servers=["1.1.1.1"], search=["."], options=["use-vc"])
    assert resolv_conf_text(HOST, wanted) == "nameserver 1.1.1.1\noptions use-vc\n"


def test_hosts_ends_with_the_containers_own_address() -> None:
    text = hosts_text([("10.1.1.2", own_names("web", "example.org"))])
    assert text.startswith("127.0.0.1\tlocalhost\n")
    assert text.endswith("10.1.1.2\tweb.example.org web\n")


def test_extra_hosts() -> None:
    assert extra_host("db:10.0.0.9", "172.17.0.1") == ("10.0.0.9", "db")
    assert extra_host("up:host-gateway", "172.17.0.1") == ("172.17.0.1", "up")
    assert extra_host("six:[::1]", "") == ("::1", "six")
