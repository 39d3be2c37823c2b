"""Addresses: which subnets networks get, and which addresses endpoints get. Pure bookkeeping in memory.

The lowest free address is given first, as dockerd does. What is taken follows from the networks and endpoints that
there are, so nothing of it is written anywhere.
"""

import ipaddress
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from engine.domain.networks.failures import (
    AddressInUse,
    AddressOutsidePool,
    PoolOverlaps,
    PoolsExhausted,
)
from engine.domain.networks.settings import AddressPool

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Pool:
    """The addresses of one subnet. `ip_range` limits those given without being asked for."""

    def __init__(self, subnet: IPNetwork, ip_range: IPNetwork | None = None) -> None:
        self.subnet = subnet
        limits = ip_range or subnet
        self._first, self._last = int(limits.network_address), int(limits.broadcast_address)
        self._used: set[int] = set()
        self._hint = self._first
        if subnet.max_prefixlen - subnet.prefixlen > 1:  # The two addresses of a /31 are both hosts (RFC 3021).
            self._used.add(int(subnet.network_address))
            if subnet.version == 4:
                self._used.add(int(subnet.broadcast_address))

    def take(self, address: str) -> str:
        """Take a certain address. Raises AddressOutsidePool, AddressInUse."""
        wanted = ipaddress.ip_address(address)
        if wanted not in self.subnet:
            raise AddressOutsidePool(address)
        if int(wanted) in self._used:
            raise AddressInUse
        self._used.add(int(wanted))
        return str(wanted)

    def take_any(self) -> str:
        """Take the lowest free address; empty where none is left."""
        number = self._hint
        while number in self._used:
            number += 1
        if number > self._last:
            return ""
        self._used.add(number)
        self._hint = number + 1
        return str(type(self.subnet.network_address)(number))

    def release(self, address: str) -> None:
        """Give an address back. Idempotent."""
        number = int(ipaddress.ip_address(address))
        self._used.discard(number)
        if self._first <= number < self._hint:
            self._hint = number


class AddressSpace:
    """Which subnets are in use by our networks.

    Those that plugins give are in spaces of their own: a client may ask for them, as with dockerd, but none is chosen.
    """

    def __init__(self, pools: Sequence[AddressPool]) -> None:
        self._pools = pools
        self._taken: dict[str, list[IPNetwork]] = {}
        self._plugins: dict[str, list[IPNetwork]] = {}

    def note(self, network_id: str, subnets: Iterable[IPNetwork]) -> None:
        """Keep away from subnets that a plugin has given."""
        self._plugins.setdefault(network_id, []).extend(subnets)

    def take(self, network_id: str, subnets: Iterable[IPNetwork]) -> None:
        """Take certain subnets. Raises PoolOverlaps."""
        wanted = list(subnets)
        for index, subnet in enumerate(wanted):
            if any(overlap(subnet, other) for other in (*wanted[:index], *_each(self._taken))):
                raise PoolOverlaps
        self._taken.setdefault(network_id, []).extend(wanted)

    def take_any(self, network_id: str, avoid: Iterable[IPNetwork]) -> IPNetwork:
        """Take a free IPv4 subnet of the default pools that touches none of `avoid`. Raises PoolsExhausted."""
        busy = _Ranges([*avoid, *_each(self._taken), *_each(self._plugins)])
        for base, size in self._bases():
            length = 1 << (32 - size)
            start = busy.first_gap(int(base.network_address), int(base.broadcast_address), length)
            if start is not None:
                subnet = ipaddress.IPv4Network((start, size))
                self._taken.setdefault(network_id, []).append(subnet)
                return subnet
        raise PoolsExhausted

    def release(self, network_id: str) -> None:
        """Give back the subnets of a network. Idempotent."""
        self._taken.pop(network_id, None)
        self._plugins.pop(network_id, None)

    def _bases(self) -> Iterator[tuple[ipaddress.IPv4Network, int]]:
        for pool in self._pools:
            base = ipaddress.ip_network(pool.base)
            if isinstance(base, ipaddress.IPv4Network):
                yield base, max(pool.size, base.prefixlen)


class _Ranges:
    """IPv4 addresses that are in use, as sorted ranges."""

    def __init__(self, networks: Iterable[IPNetwork]) -> None:
        ipv4 = (n for n in networks if n.version == 4)
        self._ranges = sorted((int(n.network_address), int(n.broadcast_address)) for n in ipv4)

    def first_gap(self, first: int, last: int, length: int) -> int | None:
        """Return where a block of `length` addresses, aligned to its length, is free between two addresses."""
        start = first
        for low, high in self._ranges:
            if low >= start + length:
                break
            if high >= start:
                start = -(-(high + 1) // length) * length
        return start if start + length - 1 <= last else None


def _each(by_network: Mapping[str, list[IPNetwork]]) -> Iterator[IPNetwork]:
    return itertools.chain.from_iterable(by_network.values())


def overlap(one: IPNetwork, other: IPNetwork) -> bool:
    """Tell whether two subnets share an address."""
    return one.version == other.version and one.overlaps(other)


def mac_of(address: str) -> str:
    """Return the MAC address that belongs to an IPv4 address.

    Docker 28 picks random ones and tells the neighbours. With one that follows from the address, a neighbour's memory
    of the address's previous holder is right.
    """
    return "02:42:" + ":".join(f"{b:02x}" for b in ipaddress.IPv4Address(address).packed)
