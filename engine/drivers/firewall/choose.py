"""Which firewall backend to use."""

import logging
import shutil
from pathlib import Path

from engine.drivers.firewall import firewalld
from engine.drivers.firewall.firewalld import BesideFirewalld
from engine.drivers.firewall.iptables import IptablesFirewall
from engine.drivers.firewall.nft import NftablesUnavailable
from engine.drivers.firewall.nftables import NftablesFirewall
from engine.drivers.firewall.rules import Firewall, NoFirewall
from engine.drivers.firewall.successor import Successor

log = logging.getLogger(__name__)


def open_firewall(backend: str, name: str, *, enabled: bool = True) -> Firewall:
    """Return the backend `nftables` or `iptables`, or the one that the host's `iptables` uses for an empty text.

    `name` tells this daemon's rules from others', such as its bridge's name. Not `enabled` (`--iptables=false`): a
    backend that does nothing. Raises OSError where the backend cannot be used. Blocks; call in a thread.
    """
    if not enabled:
        return NoFirewall()
    ipv6 = Path("/proc/net/if_inet6").exists()
    chosen = backend or _backend_of_host()
    nftables, iptables = _nftables(name, ipv6=ipv6), _iptables(name, ipv6=ipv6)
    if nftables is None and chosen == "nftables":
        if backend or iptables is None:
            raise NftablesUnavailable
        log.warning("nftables is not installed: iptables is used instead")
        chosen = "iptables"
    first, other = (iptables, nftables) if chosen == "iptables" else (nftables, iptables)
    if first is None:
        raise FileNotFoundError(f"{chosen} is not installed")
    firewall = Successor(first, other) if other else first
    return BesideFirewalld(firewall) if firewalld.is_installed() else firewall


def _nftables(name: str, *, ipv6: bool) -> NftablesFirewall | None:
    try:
        return NftablesFirewall(f"wharf-{name}", ipv6=ipv6)
    except NftablesUnavailable:
        return None


def _iptables(name: str, *, ipv6: bool) -> IptablesFirewall | None:
    try:
        return IptablesFirewall(name, ipv6=ipv6)
    except FileNotFoundError:
        return None


def _backend_of_host() -> str:
    """Return `iptables` where the host keeps its rules in the legacy tables, else `nftables`."""
    program = shutil.which("iptables")
    if program is None:
        return "nftables"
    return "nftables" if "nft" in Path(program).resolve().name else "iptables"
