"""The addresses of one network: its subnets, its gateways, and what endpoints get of them."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from engine.core.model.network import EndpointSettings, IPAMPool, Network
from engine.domain.networks.failures import AddressOutsidePool, NoAddressLeft
from engine.domain.networks.ipam import IPNetwork, Pool


@dataclass(frozen=True, slots=True)
class Address:
    """An endpoint's address of one family, empty for none."""

    address: str = ""
    prefix_length: int = 0
    gateway: str = ""

    @property
    def cidr(self) -> str:
        """The address with its prefix length: 172.17.0.2/16."""
        return f"{self.address}/{self.prefix_length}" if self.address else ""


@dataclass(frozen=True, slots=True)
class _Subnet:
    pool: Pool
    gateway: str


class NetworkAddresses:
    """Gives and takes back the addresses of a network whose IPAM configuration is complete."""

    def __init__(self, network: Network) -> None:
        subnets = [_subnet(p) for p in network.pools]
        self._subnets = {
            4: [s for s in subnets if s.pool.subnet.version == 4 and network.enable_ipv4],
            6: [s for s in subnets if s.pool.subnet.version == 6 and network.enable_ipv6],
        }

    @property
    def gateways(self) -> tuple[str, ...]:
        """The bridge's own addresses, as 172.17.0.1/16."""
        everything = [*self._subnets[4], *self._subnets[6]]
        return tuple(f"{s.gateway}/{s.pool.subnet.prefixlen}" for s in everything if s.gateway)

    @property
    def subnets(self) -> tuple[str, ...]:
        """The subnets of both families."""
        return tuple(str(s.pool.subnet) for s in [*self._subnets[4], *self._subnets[6]])

    def take(self, wanted: EndpointSettings) -> tuple[Address, Address]:
        """Take an IPv4 and an IPv6 address, those asked for or any.

        Raises AddressInUse, AddressOutsidePool, NoAddressLeft.
        """
        asked = wanted.ipam_config
        ipv4 = self._take(4, asked.ipv4_address if asked else "")
        try:
            return ipv4, self._take(6, asked.ipv6_address if asked else "")
        except BaseException:
            self.release([ipv4.address])
            raise

    def take_again(self, settings: EndpointSettings) -> None:
        """Take the addresses that a running container has."""
        for address in (settings.ip_address, settings.global_ipv6_address):
            if address:
                self._holding(address).pool.take(address)

    def _take(self, version: int, asked: str) -> Address:
        subnets = self._subnets[version]
        if asked:
            subnet = self._holding(asked)
            return _address(subnet, subnet.pool.take(asked))
        if not subnets:
            return Address()
        for subnet in subnets:
            try:
                return _address(subnet, subnet.pool.take_any())
            except NoAddressLeft:
                continue
        raise NoAddressLeft

    def _holding(self, address: str) -> _Subnet:
        parsed = ipaddress.ip_address(address)
        for subnet in self._subnets[parsed.version]:
            if parsed in subnet.pool.subnet:
                return subnet
        raise AddressOutsidePool(address)

    def release(self, addresses: Iterable[str]) -> None:
        """Give addresses back. Idempotent."""
        for address in addresses:
            if address:
                self._holding(address).pool.release(address)


def _address(subnet: _Subnet, address: str) -> Address:
    return Address(address, subnet.pool.subnet.prefixlen, subnet.gateway)


def _subnet(config: IPAMPool) -> _Subnet:
    subnet = ipaddress.ip_network(config.subnet, strict=False)
    limits = ipaddress.ip_network(config.ip_range, strict=False) if config.ip_range else None
    pool = Pool(subnet, limits)
    gateway = config.gateway.partition("/")[0]
    for reserved in {gateway, *(config.auxiliary_addresses or {}).values()} - {""}:
        pool.take(reserved)
    return _Subnet(pool, gateway)


def first_host(subnet: IPNetwork) -> str:
    """Return the address that a gateway gets where none is asked for."""
    return str(subnet.network_address + 1)
