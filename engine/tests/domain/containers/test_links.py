"""Legacy links: the texts that parents have of them."""

from engine.core.model.container import HostConfig
from engine.domain.containers import links


def test_the_first_link_of_an_alias_counts() -> None:
    host_config = HostConfig(links=["db:x", "other:x", "db:y"])
    assert links.aliases(host_config) == {"x": "db", "y": "db"}
    assert links.without(host_config, "x").links == ["db:y"]
    assert links.without(links.without(host_config, "x"), "y").links is None


def test_links_follow_a_rename() -> None:
    host_config = HostConfig(links=["db:x", "other:y"])
    changed = links.retargeted(host_config, "db", "sql")
    assert changed is not None
    assert changed.links == ["other:y", "sql:x"]
    assert links.retargeted(host_config, "x", "y") is None


def test_a_new_address_in_etc_hosts() -> None:
    hosts = "127.0.0.1\tlocalhost\n10.0.0.2\tx 0123456789ab db\n10.0.0.2\txx 0123456789ab db\n10.0.0.3\tx.y me\n"
    assert links.with_address(hosts, "x", "10.0.0.9") == (
        "127.0.0.1\tlocalhost\n10.0.0.9\tx 0123456789ab db\n10.0.0.2\txx 0123456789ab db\n10.0.0.9\tx.y me\n"
    )
