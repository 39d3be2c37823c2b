"""Networks of the drivers `macvlan` and `ipvlan`: containers' links hang on an interface of the host, their parent.

The parent is the user's, or is made with the network and goes with it: a VLAN's sub-interface (`eth0.10`), or an
interface that leads nowhere where the user names none.
"""

import re
from dataclasses import dataclass

import msgspec

from engine.core.errors import Internal
from engine.core.model.network import EndpointSettings, Network
from engine.domain.networks.addresses import AddressBook
from engine.domain.networks.failures import LinkFailed, LinkRefused
from engine.domain.networks.table import NetworkTable
from engine.drivers.netlink.interfaces import Interface, ParentLink
from engine.drivers.netlink.netlink import Netlink

_PARENT = "parent"
_PASSTHRU = "passthru"
_LOOPBACK = "lo"
_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ParentKind:
    """What sets the two drivers apart: what may be said in their options, the default first; names of dummies."""

    name: str
    dummy: str
    modes: tuple[str, ...]
    flags: tuple[str, ...] = ()


MACVLAN = ParentKind("macvlan", "dm", ("bridge", "private", "vepa", _PASSTHRU))
IPVLAN = ParentKind("ipvlan", "di", ("l2", "l3", "l3s"), ("bridge", "private", "vepa"))
_KINDS = {kind.name: kind for kind in (MACVLAN, IPVLAN)}


class InvalidParentOption(Internal):
    """A mode or a flag that does not exist; dockerd answers 500."""

    def __init__(self, kind: str, what: str, value: str, otherwise: str) -> None:
        super().__init__(f"requested {kind} {what} '{value}' is not valid, {otherwise} is the {kind} driver default")


class InvalidParent(Internal):
    """Nothing can hang on that interface; dockerd answers 500."""


class ParentTaken(Internal):
    """Another network has the interface for itself, or this one wants what others use; dockerd answers 500."""


class ParentDriver:
    """Finds and makes parents, for one of the two drivers."""

    hosts_ports = False

    def __init__(self, kind: ParentKind, netlink: Netlink, table: NetworkTable, book: AddressBook) -> None:
        self._kind = kind
        self._netlink = netlink
        self._table = table
        self._book = book

    def require_valid(self, network: Network) -> None:
        """Raise InvalidParentOption, InvalidParent, ParentTaken."""
        kind, parent = self._kind, _option(network, _PARENT)
        if parent == _LOOPBACK:
            raise InvalidParent(f"loopback interface is not a valid {kind.name} parent link")
        if (mode := _mode(network)) not in kind.modes:
            raise InvalidParentOption(kind.name, "mode", mode, f"'{kind.modes[0]}' mode")
        if kind.flags and (flag := _flag(network)) not in kind.flags:
            raise InvalidParentOption(kind.name, "flag", flag, f"'{kind.flags[0]}'")
        for other in self._table.all():
            if other.driver == kind.name and other.id != network.id and _option(other, _PARENT) == parent != "":
                _require_shareable(network, other, parent)

    def has_gateway(self, network: Network, version: int) -> bool:
        """Layer 3 routes by the interface alone, and nothing leads out of an internal network."""
        del version
        return not network.internal and not is_layer3(network)

    def require_pools(self, network: Network) -> None:
        """Any number of subnets will do."""

    async def prepared(self, network: Network) -> Network:
        """Note whether the parent comes, and so goes, with our networks."""
        parent = parent_of(network)
        ours = any(not n.keeps_link and parent_of(n) == parent for n in self._table.all() if n.driver in _KINDS)
        return msgspec.structs.replace(network, keeps_link=not ours and await self._netlink.link_exists(parent))

    async def bring_up(self, network: Network, *, making: bool) -> None:
        """Find the parent, or make it. Raises InvalidParent, LinkRefused, LinkFailed, GatewayTaken and its like."""
        self._book.open(network)
        try:
            await self._ensure_parent(network)
        except InvalidParent:
            self._book.close(network.id)
            raise
        except OSError as error:
            self._book.close(network.id)
            if making:
                raise LinkRefused(error) from error
            raise LinkFailed(f"the parent of network {network.name} is not available", error) from error

    async def _ensure_parent(self, network: Network) -> None:
        parent = parent_of(network)
        if await self._netlink.link_exists(parent):
            return
        if not _option(network, _PARENT):
            await self._netlink.make_dummy(parent)
            return
        base, number = _parse_vlan(parent)
        if not await self._netlink.link_exists(base):
            raise InvalidParent(f"-o parent interface was not found on the host: {base}")
        if not 1 <= number <= 4094:
            raise InvalidParent(f"vlan id must be between 1-4094, received: {number}")
        try:
            await self._netlink.make_vlan(parent, base, number)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InvalidParent(f"failed to create {parent} vlan link: {reason}") from error

    async def open(self, network: Network) -> None:
        """Nothing of ours is in the way of packets."""

    async def bring_down(self, network: Network) -> None:
        """Remove the parent where it came with our networks and this was the last of them. Idempotent."""
        parent = parent_of(network)
        others = (n for n in self._table.all() if n.id != network.id and n.driver in _KINDS)
        if not network.keeps_link and not any(parent_of(n) == parent for n in others):
            await self._netlink.remove_link(parent)
        self._book.close(network.id)

    def interface(self, network: Network, settings: EndpointSettings, host_link: str) -> Interface:
        """Return a link on the parent."""
        del host_link
        return Interface(
            link=ParentLink(self._kind.name, parent_of(network), _mode(network), _flag(network)),
            name=settings.interface,
            mac_address=settings.mac_address,
            mtu=0,
            addresses=(),
            ipv6=network.enable_ipv6,
        )


def parent_of(network: Network) -> str:
    """Return the parent's name; that of an interface which leads nowhere comes from the network's id."""
    return _option(network, _PARENT) or f"{_KINDS[network.driver].dummy}-{network.id[:12]}"


def is_layer3(network: Network) -> bool:
    """Tell whether containers route by their interface alone."""
    return network.driver == IPVLAN.name and _mode(network) in ("l3", "l3s")


def _mode(network: Network) -> str:
    return _option(network, f"{network.driver}_mode") or _KINDS[network.driver].modes[0]


def _flag(network: Network) -> str:
    return _option(network, f"{network.driver}_flag") or next(iter(_KINDS[network.driver].flags), "")


def _option(network: Network, name: str) -> str:
    return (network.options or {}).get(name, "")


def _require_shareable(network: Network, other: Network, parent: str) -> None:
    using = f"{network.driver} network {other.id} is already using parent interface {parent}"
    if _mode(network) == _PASSTHRU:
        raise ParentTaken(f"cannot use mode passthru, {using}")
    if _mode(other) == _PASSTHRU:
        raise ParentTaken(f"{using} in mode passthru")


def _parse_vlan(name: str) -> tuple[str, int]:
    """Return the interface and the number of the VLAN in `eth0.10`. Raises InvalidParent."""
    if "." not in name:
        raise InvalidParent(f"invalid subinterface vlan name {name}, example formatting is eth0.10")
    parts = name.split(".")
    if len(parts) != 2:
        raise InvalidParent(
            f"required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {name}"
        )
    if not _NUMBER.fullmatch(parts[1]):
        raise InvalidParent(f"unable to parse a valid vlan id from: {parts[1]} (ex. eth0.10 for vlan 10)")
    return parts[0], int(parts[1])
