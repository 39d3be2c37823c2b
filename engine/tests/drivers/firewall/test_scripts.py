"""What the two backends are told."""

from engine.drivers.firewall import foreign, iptables_script
from engine.drivers.firewall.nft_script import Script
from engine.drivers.firewall.rules import BridgeRules, Entry, PortRule

BRIDGE = BridgeRules("br0", ("10.0.0.0/24", "fd00::/64"))
INTERNAL = BridgeRules("br1", internal=True, icc=False)
ROUTED = BridgeRules("br2", entry={4: Entry.PORTS}, trusted=("eth0",))
ANY = PortRule("tcp", "", 8080, "10.0.0.2", 80)
LOOPBACK = PortRule("udp", "127.0.0.1", 53, "10.0.0.2", 53)
OPEN = PortRule("tcp", "", 0, "10.0.0.2", 80)
IPV6 = PortRule("tcp", "", 8080, "fd00::2", 80)


def test_nft_a_port_is_one_element() -> None:
    script = Script("t")
    assert script.ports([ANY], "add") == "add element ip t ports_any { tcp . 8080 : 10.0.0.2 . 80 }\n"
    assert script.ports([LOOPBACK], "delete") == "delete element ip t ports { 127.0.0.1 . udp . 53 }\n"
    assert script.ports([IPV6], "add") == "add element ip6 t ports_any { tcp . 8080 : fd00::2 . 80 }\n"
    assert script.ports([], "add") == ""


def test_nft_many_ports_are_one_command() -> None:
    assert Script("t").ports([ANY, PortRule("tcp", "", 81, "10.0.0.2", 81)], "add").count("\n") == 1


def test_nft_a_bridge_is_elements() -> None:
    assert Script("t", ("ip",)).bridge(BRIDGE, "add").splitlines() == [
        'add element ip t bridges { "br0" }',
        'add element ip t within { "br0" . "br0" }',
        "add element ip t masqueraded { 10.0.0.0/24 }",
    ]
    assert Script("t", ("ip",)).bridge(INTERNAL, "delete").splitlines() == [
        'delete element ip t bridges { "br1" }',
        'delete element ip t internal { "br1" }',
    ]


def test_nft_a_routed_bridge_lets_open_ports_through_in_its_family() -> None:
    script = Script("t")
    assert 'add element ip t routed { "br2" }\n' in script.bridge(ROUTED, "add")
    assert "ip6 t routed" not in script.bridge(ROUTED, "add")
    assert 'add element ip6 t trusted { "eth0" . "br2" }\n' in script.bridge(ROUTED, "add")
    assert script.ports([OPEN], "delete") == "delete element ip t open { 10.0.0.2 . tcp . 80 }\n"


def test_nft_a_subnet_may_have_an_address_of_the_host() -> None:
    rules = BridgeRules("br0", ("10.0.0.0/24",), sources={"10.0.0.0/24": "192.0.2.1"})
    script = Script("t", ("ip",))
    assert "add element ip t sources { 10.0.0.0/24 : 192.0.2.1 }\n" in script.bridge(rules, "add")
    assert "delete element ip t sources { 10.0.0.0/24 }\n" in script.bridge(rules, "delete")


def test_nft_everything_is_replaced_in_one_transaction() -> None:
    text = Script("t").whole([BRIDGE], [ANY])
    assert text.index("delete table ip t") < text.index("table ip t {") < text.index("add element ip t ports_any")
    assert "delete table ip6 t" in text


SAVED = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
:WHF-12345-FWD - [0:0]
:WHF-12345-I-gone0 - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j WHF-12345-FWD
-A DOCKER-USER -s 192.0.2.0/24 -j DROP
-A WHF-12345-INW -o gone0 -j WHF-12345-I-gone0
COMMIT
"""


def test_iptables_what_an_earlier_daemon_left_is_cleared_and_the_users_rules_stay() -> None:
    text = iptables_script.skeleton("WHF-12345", 4, SAVED).text()
    lines = text.splitlines()
    assert "-D FORWARD -j WHF-12345-FWD" in lines
    assert "-X WHF-12345-I-gone0" in lines
    assert "-X WHF-12345-FWD" not in lines
    assert ":DOCKER-USER - [0:0]" not in lines
    assert lines.index("-I FORWARD 1 -j WHF-12345-FWD") < lines.index("-I FORWARD 1 -j DOCKER-USER")


def test_iptables_a_missing_user_chain_is_made() -> None:
    assert ":DOCKER-USER - [0:0]" in iptables_script.skeleton("WHF-12345", 4, "").text()


def test_iptables_tells_whether_everything_is_there() -> None:
    whole = """*raw
-A PREROUTING -j M-RAW
*nat
-A PREROUTING ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j M-PUB
-A OUTPUT -m addrtype --dst-type LOCAL -j M-PUB
-A POSTROUTING -j M-MSQ
*filter
-A FORWARD -j DOCKER-USER
-A FORWARD -j M-FWD
-A M-FWD -j M-INW
"""
    assert iptables_script.is_complete("M", whole)
    lines = whole.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith("-A"):
            assert not iptables_script.is_complete("M", "".join(lines[:number] + lines[number + 1 :])), line


def test_iptables_removal_leaves_nothing_of_ours() -> None:
    lines = iptables_script.removal("WHF-12345", SAVED).text().splitlines()
    assert {"-X WHF-12345-FWD", "-X WHF-12345-I-gone0", "-D FORWARD -j WHF-12345-FWD"} <= set(lines)
    assert not any("DOCKER-USER" in line for line in lines)


def test_iptables_bridges_and_ports() -> None:
    rules = iptables_script.RuleSet()
    iptables_script.add_bridge(rules, "M", INTERNAL, 4)
    iptables_script.ports(rules, "M", [ANY, LOOPBACK, IPV6], 4, "-A")
    text = rules.text()
    assert "-A M-OUT -i br1 -j DROP" in text
    assert "--ctstate DNAT" not in text
    assert "-A M-PUB -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80" in text
    assert "-A M-PUB -d 127.0.0.1 -p udp -m udp --dport 53 -j DNAT --to-destination 10.0.0.2:53" in text
    assert "fd00" not in text


def _added(bridge: BridgeRules, version: int) -> list[str]:
    rules = iptables_script.RuleSet()
    iptables_script.add_bridge(rules, "M", bridge, version)
    return [line for line in rules.text().splitlines() if line.startswith("-A M-I-")]


def test_iptables_a_routed_bridge_lets_open_ports_through_in_its_family() -> None:
    inward = "-A M-I-br2"
    assert _added(ROUTED, 4) == [
        f"{inward} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        f"{inward} -i br2 -j ACCEPT",
        f"{inward} -m conntrack --ctstate DNAT -j ACCEPT",
        f"{inward} -p icmp -j ACCEPT",
        f"{inward} -j M-OPN",
        f"{inward} -i eth0 -j M-OPN",
        f"{inward} -j DROP",
    ]
    assert f"{inward} -j M-OPN" not in _added(ROUTED, 6)
    rules = iptables_script.RuleSet()
    iptables_script.ports(rules, "M", [OPEN], 4, "-A")
    assert "-A M-OPN -d 10.0.0.2 -p tcp -m tcp --dport 80 -j ACCEPT" in rules.text()


def test_iptables_an_unprotected_bridge_is_open_to_all_but_our_other_bridges() -> None:
    assert _added(BridgeRules("br3", entry={4: Entry.EVERYTHING}), 4)[-3:] == [
        "-A M-I-br3 -j M-ISO",
        "-A M-I-br3 -j ACCEPT",
        "-A M-I-br3 -j DROP",
    ]


def test_iptables_chain_names_are_short_enough() -> None:
    assert len(f"{iptables_script.mark_of('wharf0')}-I-{'b' * 15}") <= 28


def _listed(policy: str, *rules: dict[str, object]) -> list[dict[str, object]]:
    return [{"metainfo": {}}, {"chain": {"policy": policy}}, *({"rule": r} for r in rules)]


def test_other_peoples_drop_policy_is_passed_behind_the_users_chain() -> None:
    jump = {"handle": 4, "expr": [{"jump": {"target": "DOCKER-USER"}}]}
    text = foreign.script("ip", "wharf-x", ["br0"], _listed("drop", jump))
    assert text.splitlines() == [
        'add rule ip filter FORWARD position 4 iifname "br0" accept comment "wharf-x"',
        'add rule ip filter FORWARD position 4 oifname "br0" accept comment "wharf-x"',
    ]


def test_rules_of_ours_go_where_nothing_drops() -> None:
    ours = {"handle": 9, "comment": "wharf-x", "expr": []}
    assert (
        foreign.script("ip", "wharf-x", ["br0"], _listed("accept", ours)) == "delete rule ip filter FORWARD handle 9\n"
    )
    assert foreign.script("ip", "wharf-x", ["br0"], _listed("accept")) == ""


def test_only_what_differs_is_changed_beside_other_peoples_rules() -> None:
    def ours(handle: int, side: str, bridge: str) -> dict[str, object]:
        match = {"op": "==", "left": {"meta": {"key": side}}, "right": bridge}
        return {"handle": handle, "comment": "wharf-x", "expr": [{"match": match}, {"accept": None}]}

    present = [ours(8, "iifname", "br0"), ours(9, "oifname", "br0"), ours(10, "iifname", "gone0")]
    assert foreign.script("ip", "wharf-x", ["br0", "br1"], _listed("drop", *present)).splitlines() == [
        "delete rule ip filter FORWARD handle 10",
        'insert rule ip filter FORWARD iifname "br1" accept comment "wharf-x"',
        'insert rule ip filter FORWARD oifname "br1" accept comment "wharf-x"',
    ]


def test_a_link_is_open_to_one_address_within_its_bridge() -> None:
    link = PortRule("tcp", "", 0, "10.0.0.2", 5432, "10.0.0.3", "br0")
    assert Script("t").ports([link], "add") == 'add element ip t linked { "br0" . 10.0.0.3 . 10.0.0.2 . tcp . 5432 }\n'
    rules = iptables_script.RuleSet()
    iptables_script.ports(rules, "M", [link], 4, "-A")
    assert "-A M-LNK -s 10.0.0.3 -d 10.0.0.2 -i br0 -p tcp -m tcp --dport 5432 -j ACCEPT\n" in rules.text()
