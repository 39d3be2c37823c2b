"""Inside a container's namespace: port 53 of 127.0.0.11 leads to where the embedded DNS server really listens.

So the container may have a DNS server of its own on port 53. These rules are the only ones that we put into a
container's namespace; they end with it.
"""

from engine.drivers.firewall.nft import Nftables

_TABLE = "wharf-dns"


def redirect_dns(address: str, udp_port: int, tcp_port: int) -> None:
    """Set the rules, in place of earlier ones, in the calling thread's namespace. Raises OSError. Blocks."""
    Nftables().run(_script(address, udp_port, tcp_port))


def _script(address: str, udp_port: int, tcp_port: int) -> str:
    return f"""
add table ip {_TABLE}
delete table ip {_TABLE}
table ip {_TABLE} {{
  chain output {{
    type nat hook output priority -100; policy accept;
    ip daddr {address} udp dport 53 dnat to {address}:{udp_port}
    ip daddr {address} tcp dport 53 dnat to {address}:{tcp_port}
  }}
}}
"""
